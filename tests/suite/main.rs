//! Camshaft as a whole, from outside. One binary, so that it is linked once; one subject a file.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod clients;
mod command_line;
mod connections;
mod crash;
mod deliveries;
mod doctor;
mod expressions;
mod formats;
mod guests;
mod inspect;
mod keys;
mod kills;
mod log;
mod main_path;
mod projects;
mod samples;
mod schedules;
mod shares;
mod star;
mod steps;
mod subscriptions;
mod tokens;
mod users;
mod workspaces;
