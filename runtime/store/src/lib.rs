//! camshaft-store
