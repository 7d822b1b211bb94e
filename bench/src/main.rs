//! Camshaft beside what people would use instead: the same load, the same machine, one run, ratios.
//!
//! `cargo xtask bench` builds everything for release and calls this with the paths of what it built.

mod bare;
mod contender;
mod load;
mod many;
mod report;
mod single;
mod steps;
mod triggers;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Camshaft beside what people would use instead")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole comparison and prints it.
    Compare(Compare),
    /// What a hundred thousand waiting executions and schedules take, and what a million kept executions cost. Takes minutes.
    Many(Many),
    /// Serves the bare comparison server: parses the JSON, answers, stores nothing.
    Bare {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
    },
}

#[derive(clap::Args)]
struct Compare {
    /// The release binary of Camshaft.
    #[arg(long)]
    camshaft: PathBuf,
    /// The component for `wasmtime serve`.
    #[arg(long)]
    component: PathBuf,
    /// The component of the steps that compute; workflows of many steps are left out where it is missing.
    #[arg(long)]
    fibonacci: Option<PathBuf>,
    /// The `wasmtime` program, version 48; left out of the comparison where it is missing.
    #[arg(long)]
    wasmtime: Option<PathBuf>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Times that the whole is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
}

#[derive(clap::Args)]
struct Many {
    /// The release binary of Camshaft.
    #[arg(long)]
    camshaft: PathBuf,
    /// Executions that wait; none leaves that measurement out.
    #[arg(long, default_value_t = 100_000)]
    waiting: u64,
    /// Executions that are kept; none leaves that measurement out.
    #[arg(long, default_value_t = 1_000_000)]
    kept: u64,
    /// Schedules that wait, beside a thousand that fall in the same second; none leaves that measurement out.
    #[arg(long, default_value_t = 100_000)]
    schedules: usize,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Compare(options) => compare(&options),
        Command::Many(options) => {
            load::check_wrk()?;
            let mut report = report::Report::default();
            if options.waiting > 0 {
                many::waiting(&options.camshaft, options.waiting, &mut report)?;
            }
            if options.schedules > 0 {
                triggers::schedules(&options.camshaft, options.schedules, &mut report)?;
            }
            if options.kept > 0 {
                many::kept(&options.camshaft, options.kept, &mut report)?;
            }
            report.print();
            Ok(())
        }
        Command::Bare { listen } => bare::serve(&listen),
    }
}

fn compare(options: &Compare) -> Result<()> {
    load::check_wrk()?;
    let mut report = report::Report::default();
    single::measure(&options.camshaft, &mut report)?;
    many::throughput(&options.camshaft, options.seconds, &mut report)?;
    triggers::fan_out(&options.camshaft, &mut report)?;
    triggers::path(&options.camshaft, options.seconds, &mut report)?;
    if let Some(fibonacci) = &options.fibonacci {
        steps::measure(&options.camshaft, fibonacci, &mut report)?;
    }

    let mut contenders = vec![contender::bare()?, contender::camshaft(&options.camshaft)?];
    match &options.wasmtime {
        Some(wasmtime) => contenders.push(contender::wasmtime_serve(wasmtime, &options.component)?),
        None => report.note("`wasmtime` 48 is not installed, so `wasmtime serve` was left out"),
    }
    for contender in &contenders {
        contender.check()?;
    }
    for round in 1..=options.rounds {
        for connections in [1, 16, 64] {
            for contender in &contenders {
                eprintln!("round {round}/{}: {} with {connections} connections", options.rounds, contender.name);
                let measured = load::wrk(contender.name, &contender.url, connections, options.seconds)?;
                report.load(contender.name, connections, measured);
            }
        }
    }
    report.print();
    Ok(())
}
