//! `cargo xtask vendors`: the table of deliveries that the adapters' tests assert ours against, held against the vendors' own
//! libraries, which wrote it; or written anew. No part of `cargo xtask test`: the libraries are 250 MB.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::oracle;
use crate::process::Process;
use crate::progress;
use crate::workspace::{Workspace, on_ci};

const TABLE: &str = "tests/oracles/vendors.jsonl";
/// GitHub's example payloads, which the adapter's tests take one by one.
const EXAMPLES: &str = "plugins/adapters/github/examples.jsonl.gz";
/// The releases that write both.
const FROM_PYPI: &[&str] = &[
    "stripe==16.1.0",
    "twilio==9.13.0",
    "slack_sdk==3.47.0",
    "standardwebhooks==1.1.0",
    "svix==2.9.1",
    "squareup==46.0.0.20260916",
    "hubspot-api-client==12.0.0",
    "PyNaCl==1.6.2",
    "discord-interactions==0.4.0",
];
const FROM_NPM: &[&str] = &[
    "@octokit/webhooks-examples@7.6.1",
    "@octokit/webhooks-methods@6.0.0",
    "@linear/sdk@98.0.0",
    "@shopify/shopify-api@13.1.0",
    "sns-validator@0.3.5",
    "@zoom/rivet@0.4.0",
];

/// What to do with the table.
#[derive(Args)]
pub struct Options {
    /// Writes the table anew.
    #[arg(long)]
    write: bool,
}

/// Asks the libraries, which are installed into the target folder.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    progress::doing("deliveries, as the vendors' own libraries sign them", |_| {
        let python = oracle::installed(workspace, FROM_PYPI, "discord_interactions");
        let node = oracle::installed_from_npm(workspace, FROM_NPM);
        let (Some(python), Some(node)) = (python, node) else {
            if on_ci() {
                bail!("the libraries cannot be had here, so nothing was held against them");
            }
            println!("    left out: the libraries cannot be had here; the tests assert the table as it is");
            return Ok(());
        };
        let from_python = Process::new("python3", &workspace.root)
            .arg("tests/oracles/vendors.py")
            .env("PYTHONPATH", &python)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .read()?;
        let from_node = Process::new("node", &workspace.root).arg("tests/oracles/vendors.mjs").arg(&node).read()?;
        let asked = format!("{}\n{}\n", from_python.trim_end(), from_node.trim_end());
        let path = workspace.root.join(TABLE);
        if options.write {
            let examples = Process::new("node", &workspace.root).arg("tests/oracles/github-examples.mjs").arg(&node);
            examples.arg(EXAMPLES).read()?;
            return fs::write(&path, asked).with_context(|| format!("cannot write {}", path.display()));
        }
        let kept = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if kept != asked {
            bail!("{TABLE} is not what the vendors' libraries say\nto write it anew: cargo xtask vendors --write");
        }
        println!("    {} deliveries are signed as the table says", kept.lines().count());
        Ok(())
    })
}
