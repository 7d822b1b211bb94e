//! same-version-a
