//! camshaft-host
