//! camshaft-sdk
