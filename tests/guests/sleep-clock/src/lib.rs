//! sleep-clock
