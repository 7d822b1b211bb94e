//! recurse
