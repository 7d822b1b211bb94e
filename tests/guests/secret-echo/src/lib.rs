//! secret-echo
