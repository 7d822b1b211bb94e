//! `cargo xtask fuzz`: feeds what reads from outside with inputs that libFuzzer makes up, led by which code they reach. Coverage
//! comes from LLVM's own pass, which every Rust has; so this runs on the stable compiler that everything else is built with. It does
//! not reach into compiled WebAssembly: what the adapters' components are fed is drawn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::Process;
use crate::workspace::{Role, Workspace};
use crate::{plugins, progress, tools};

/// Each target, and the largest input that is made up for it, bytes.
const TARGETS: [(&str, u32); 5] =
    [("cloudevents", 4096), ("document", 4096), ("expression", 512), ("journal", 4096), ("json", 4096)];

/// The target that is fed with what is drawn, by the program as everybody builds it.
const DRAWN: &str = "deliveries";

/// What LLVM puts into the code so that libFuzzer sees where an input gets to.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions=on -Coverflow-checks=on";

/// What to feed for how long.
#[derive(Args)]
pub struct Options {
    /// Only this target.
    target: Option<String>,
    /// How long each target is fed.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Begins where another run began; drawn if left out.
    #[arg(long)]
    seed: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { target: None, seconds: 60, seed: None }
    }
}

/// As one of the checks: left out, and said so, on a machine that cannot build libFuzzer.
pub fn check(workspace: &Workspace) -> Result<()> {
    let compiler = || Process::new("c++", &workspace.root).arg("--version").succeeds(Duration::from_secs(30));
    if compiler() || (tools::debian("g++") && compiler()) {
        return run(workspace, &Options::default());
    }
    println!(
        "==> fuzzing is left out: libFuzzer needs a C++ compiler, and there is none; the tests replay the corpora"
    );
    Ok(())
}

/// Builds the program and feeds the targets, all of them beside each other.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let targets: Vec<_> =
        TARGETS.iter().filter(|(name, _)| options.target.as_deref().is_none_or(|wanted| wanted == *name)).collect();
    let seed = options.seed.unwrap_or_else(drawn);
    let wants_drawn = options.target.as_deref().is_none_or(|wanted| wanted == DRAWN);
    if targets.is_empty() && !wants_drawn {
        bail!(
            "there is no target `{}`, only {}, {DRAWN}",
            options.target.as_deref().unwrap_or_default(),
            TARGETS.map(|t| t.0).join(", ")
        );
    }
    if wants_drawn {
        draw(workspace, options.seconds, seed)?;
    }
    if targets.is_empty() {
        return Ok(());
    }
    let program = build(workspace)?;
    let title = format!("feeding {} targets for {} s each, from seed {seed}", targets.len(), options.seconds);
    progress::doing(&title, |_| {
        let runs =
            targets.iter().map(|(target, longest)| feed(workspace, &program, target, *longest, options.seconds, seed));
        let runs = runs.collect::<Result<Vec<_>>>()?;
        let faults: Vec<_> =
            runs.into_iter().filter_map(|run| run.end().err()).map(|fault| format!("{fault:#}")).collect();
        if faults.is_empty() { Ok(()) } else { bail!("fuzzing failed\n{}", faults.join("\n")) }
    })
}

/// Feeds the adapters' components.
fn draw(workspace: &Workspace, seconds: u32, seed: u32) -> Result<()> {
    plugins::build(workspace, &[Role::Shipped], plugins::Profile::Dev)?;
    // Features as everything else gets them, so that what is big compiles once.
    let build = workspace.cargo().args(["build", "--workspace", "--bin", "fuzz"]);
    progress::step("building what feeds the adapters", &build)?;
    let folder = workspace.target.join("fuzz").join(DRAWN);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let broken = folder.join(format!("broken-{seed}"));
    let fed = Process::new(workspace.target.join("debug/fuzz"), &workspace.root)
        .args([DRAWN.to_owned(), "--draw".to_owned(), seconds.to_string(), seed.to_string()])
        .arg(&broken);
    progress::doing(&format!("feeding `{DRAWN}` for {seconds} s, from seed {seed}"), |_| {
        println!("    {DRAWN}: {} inputs", fed.read()?.trim());
        Ok(())
    })
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let rustc = Process::new("rustc", &workspace.root).arg("-vV").read()?;
    let host =
        rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc says which machine this is")?;
    // With a target named, build scripts and macros are built without the flags. A folder of its own, for nothing can be shared.
    let target = workspace.target.join("fuzz");
    let build = Process::cargo(&workspace.root)
        .args(["build", "--release", "--package", "camshaft-fuzz", "--bin", "fuzz", "--target", host])
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", FLAGS)
        // Quick to build, and stripped of nothing that a fault is told with.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2")
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
    progress::step("building what is fed", &build)?;
    Ok(target.join(host).join("release/fuzz"))
}

/// A target that is being fed.
struct Run {
    target: &'static str,
    seed: u32,
    child: std::process::Child,
    log: PathBuf,
    /// Where an input goes that breaks the target.
    broken: PathBuf,
}

fn feed(
    workspace: &Workspace,
    program: &Path,
    target: &'static str,
    longest: u32,
    seconds: u32,
    seed: u32,
) -> Result<Run> {
    let folder = workspace.target.join("fuzz").join(target);
    let (grown, broken, log) = (folder.join("grown"), folder.join("broken"), folder.join("log"));
    for folder in [&grown, &broken] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let to = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let child = Process::new(program, &workspace.root)
        .env("CAMSHAFT_FUZZ", target)
        .args([
            format!("-max_total_time={seconds}"),
            format!("-seed={seed}"),
            format!("-max_len={longest}"),
            "-timeout=30".to_owned(),
            "-rss_limit_mb=2048".to_owned(),
            "-print_final_stats=1".to_owned(),
            format!("-artifact_prefix={}/", broken.display()),
        ])
        // What is found is kept in the first folder; the repository's is only read.
        .arg(&grown)
        .arg(workspace.root.join("fuzz/corpus").join(target))
        .command()
        .stdout(Stdio::null())
        .stderr(to)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Run { target, seed, child, log, broken })
}

impl Run {
    /// Waits for the end, and says how much was tried, or what broke the target.
    fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if status.success() {
            let number = |name: &str| {
                let line = log.lines().find_map(|line| line.strip_prefix(name));
                line.map_or("?", str::trim).to_owned()
            };
            let reached = log.lines().rev().find_map(|line| line.split("cov: ").nth(1)?.split(' ').next());
            let reached = reached.unwrap_or("?");
            println!(
                "    {}: {} inputs, {reached} places reached",
                self.target,
                number("stat::number_of_executed_units:")
            );
            return Ok(());
        }
        let written = log.lines().find_map(|line| line.split("Test unit written to ").nth(1));
        let told: Vec<_> =
            log.lines().filter(|line| line.contains("panicked at") || line.starts_with("SUMMARY")).collect();
        let file = written.map_or_else(|| self.broken.display().to_string(), str::to_owned);
        let why = log.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or_default();
        bail!(
            "`{}` broke ({status}, seed {}): {}\n  {why}\n  the input: {file}\n  to run it alone: cargo run -p camshaft-fuzz -- {} {file}\n  \
             once it is mended, keep it in fuzz/corpus/{}; the whole log: {}",
            self.target,
            self.seed,
            told.join("; "),
            self.target,
            self.target,
            self.log.display()
        )
    }
}

/// Another one each time: what one run does not come to, the next one may.
fn drawn() -> u32 {
    let since =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos() ^ since.as_secs() as u32);
    since.max(1)
}
