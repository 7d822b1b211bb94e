//! The binary `camshaft`: the server, projects of new plugins, and a client of the HTTP API for everything else.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 used wrongly, 3 no server there.

mod arguments;
mod client;
mod commands;
mod follow;
mod memory;
mod project;
mod timeline;
mod view;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use arguments::Cli;
use client::ClientError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            let shown = if json { view::error_json(&error) } else { view::error(&error) };
            // Where nobody listens, the exit code is all that is left to tell.
            let _ = writeln!(std::io::stderr(), "{shown}");
            match error.downcast_ref::<ClientError>() {
                Some(ClientError::Unreachable { .. }) => ExitCode::from(3),
                _ => ExitCode::from(1),
            }
        }
    }
}
