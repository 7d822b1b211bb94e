//! Camshaft as a whole, from outside. One binary, so that it is linked once; one subject a file.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod command_line;
mod crash;
mod guests;
mod keys;
mod log;
mod main_path;
mod star;
mod steps;
