//! http-request
