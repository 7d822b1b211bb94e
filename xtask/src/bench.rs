//! `cargo xtask bench`: builds what is compared, for release, and hands over to `bench/`, which measures and prints.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Process;
use crate::workspace::{Role, Workspace};
use crate::{plugins, progress};

/// The release whose `serve` we are compared with: the one that the host is made with.
const WASMTIME: &str = "48";

/// Parts by themselves: expressions that are evaluated natively, fresh instances on one thread and two, a webhook verified in the
/// sandbox and without one, appends of one caller and of many.
const EXAMPLES: [&str; 4] = ["paths", "instance", "verify", "appends"];

/// What to measure; said to the bench itself.
#[derive(clap::Args)]
pub struct Options {
    /// Instead: what 100,000 waiting executions and schedules take, and what 1,000,000 kept executions cost. Some minutes, and
    /// 10 GB of disk.
    #[arg(long)]
    many: bool,
    /// What `camshaft-bench compare` takes besides, such as `--seconds 10 --rounds 1`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds and measures.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    plugins::build(workspace, &[Role::Shipped, Role::Bench], plugins::Profile::Release)?;
    let mut build =
        workspace.cargo().args(["build", "--workspace", "--release", "--bin", "camshaft", "--bin", "camshaft-bench"]);
    for example in EXAMPLES {
        build = build.args(["--example", example]);
    }
    progress::step("building for release", &build)?;

    let components = workspace.components_for(&[Role::Bench]);
    let file = |name: &str| {
        let found = components.iter().find(|component| component.name == name);
        found.map(|component| component.file()).with_context(|| format!("no crate under bench/ is the plugin `{name}`"))
    };
    let release = workspace.target.join("release");
    if options.many {
        let many = Process::new(release.join("camshaft-bench"), &workspace.root).args(["many", "--camshaft"]);
        let status = many.arg(release.join("camshaft")).args(&options.rest).show()?;
        return if status.success() { Ok(()) } else { bail!("the measurement failed: {status}") };
    }
    let mut compare = Process::new(release.join("camshaft-bench"), &workspace.root)
        .arg("compare")
        .arg("--camshaft")
        .arg(release.join("camshaft"))
        .arg("--component")
        .arg(file("bench-http")?)
        .arg("--fibonacci")
        .arg(file("fibonacci")?);
    if wasmtime_is_there(workspace) {
        compare = compare.args(["--wasmtime", "wasmtime"]);
    } else {
        println!("`wasmtime serve` is left out; to have it: cargo install --locked wasmtime-cli@{WASMTIME}");
    }
    let status = compare.args(&options.rest).show()?;
    if !status.success() {
        bail!("the comparison failed: {status}");
    }
    for example in EXAMPLES {
        println!();
        let status = Process::new(release.join("examples").join(example), &workspace.root).show()?;
        if !status.success() {
            bail!("`{example}` failed: {status}");
        }
    }
    Ok(())
}

fn wasmtime_is_there(workspace: &Workspace) -> bool {
    let version = Process::new("wasmtime", &workspace.root).arg("--version");
    version.succeeds(Duration::from_secs(10))
        && version.read().is_ok_and(|said| said.starts_with(&format!("wasmtime {WASMTIME}.")))
}
