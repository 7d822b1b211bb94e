//! camshaft-server
