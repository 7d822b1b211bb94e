//! `cargo xtask build`: the binary as people install it.

use anyhow::Result;

use crate::plugins::{self, Profile};
use crate::progress;
use crate::workspace::{Role, Workspace};

/// Builds the plugins and the binary that carries them.
pub fn run(workspace: &Workspace) -> Result<()> {
    plugins::build(workspace, &[Role::Shipped], Profile::Release)?;
    let build = workspace.cargo().args(["build", "--workspace", "--release", "--bin", "camshaft"]);
    progress::step("building the server for release", &build)?;
    println!("{}", workspace.target.join("release/camshaft").display());
    Ok(())
}
