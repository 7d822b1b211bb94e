//! camshaft-triggers
