//! What people who work on Camshaft type: `cargo xtask …`. This file knows the commands' names; each command has a file.

mod api;
mod bench;
mod build;
mod check;
mod demo;
mod documents;
mod expressions;
mod fuzz;
mod oracle;
mod patterns;
mod plugins;
mod process;
mod progress;
mod test;
mod tools;
mod vendors;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The command line.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What people who work on Camshaft type")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows Camshaft at work: a signed GitHub webhook in, a workflow of Wasm plugins through, its answer out.
    Demo(demo::Options),
    /// Runs everything that CI runs: sets up what is missing, builds, checks, tests.
    Test,
    /// Looks without running: formatting, clippy, documentation, licences and sources of dependencies.
    Check,
    /// Builds every plugin, guest and example to a WebAssembly component.
    Plugins,
    /// Builds `camshaft` for people to use, with the plugins that it carries: `target/release/camshaft`.
    Build,
    /// Holds the table of expressions against the jq of this machine.
    Expressions,
    /// Holds the table of cron patterns against croniter, or writes it anew.
    Patterns(patterns::Options),
    /// Holds the table of signed deliveries against the vendors' own libraries, or writes it anew.
    Vendors(vendors::Options),
    /// Holds the management API against its OpenAPI document.
    Api,
    /// Feeds what reads from outside with inputs that nobody would write, led by the code that they reach.
    Fuzz(fuzz::Options),
    /// Measures Camshaft beside what people would use instead, built for release.
    Bench(bench::Options),
    /// Holds the documents against the repository: commands that they show, files that they link to.
    Documents,
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let done = Workspace::find().and_then(|workspace| match command {
        Command::Demo(options) => demo::run(&workspace, &options),
        Command::Test => test::run(&workspace),
        Command::Check => check::run(&workspace),
        Command::Plugins => plugins::run(&workspace, plugins::Profile::Dev),
        Command::Build => build::run(&workspace),
        Command::Expressions => expressions::run(&workspace),
        Command::Patterns(options) => patterns::run(&workspace, &options),
        Command::Vendors(options) => vendors::run(&workspace, &options),
        Command::Api => api::run(&workspace),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Documents => documents::run(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
