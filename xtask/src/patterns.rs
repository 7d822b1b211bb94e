//! `cargo xtask patterns`: the table of cron patterns that the model's tests assert ours against, held against croniter, which
//! wrote it; or written anew.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::oracle;
use crate::process::Process;
use crate::progress;
use crate::workspace::Workspace;

const TABLE: &str = "runtime/model/tests/patterns.jsonl";
const ORACLE: &str = "tests/oracles/patterns.py";
/// The release that writes the table.
const CRONITER: &str = "croniter==7.0.0";
const SEED: u64 = 20_261_121;
const COUNT: u64 = 1_000;

/// What to do with the table.
#[derive(Args, Default)]
pub struct Options {
    /// Writes the table anew.
    #[arg(long)]
    write: bool,
    /// Other patterns than those of the table: shows what croniter says of them.
    #[arg(long)]
    seed: Option<u64>,
}

/// Asks croniter, which is installed into the target folder.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    progress::doing("patterns, as croniter sees them", |_| {
        let Some(folder) = oracle::installed(workspace, &[CRONITER], "croniter") else {
            println!("    left out: {CRONITER} cannot be had here; the tests assert the table as it is");
            return Ok(());
        };
        let seed = options.seed.unwrap_or(SEED);
        let asked = Process::new("python3", &workspace.root)
            .args([ORACLE, &seed.to_string(), &COUNT.to_string()])
            .env("PYTHONPATH", &folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .read()?;
        if options.seed.is_some() {
            println!("{}", asked.trim_end());
            return Ok(());
        }
        let path = workspace.root.join(TABLE);
        if options.write {
            return fs::write(&path, format!("{}\n", asked.trim_end()))
                .with_context(|| format!("cannot write {}", path.display()));
        }
        let kept = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let differing = cases(&kept)?.into_iter().zip(cases(&asked)?).filter(|(kept, asked)| kept != asked).count();
        if differing > 0 || kept.lines().count() != asked.trim_end().lines().count() {
            bail!(
                "{TABLE} is not what croniter says: {differing} lines differ\nto write it anew: cargo xtask patterns --write"
            );
        }
        println!("    {CRONITER} says of {COUNT} patterns what the table says");
        Ok(())
    })
}

fn cases(table: &str) -> Result<Vec<Value>> {
    table.trim_end().lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}
