//! same-version-b
