//! call-host
