//! other-world
