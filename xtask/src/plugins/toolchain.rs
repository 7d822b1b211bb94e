//! Which compiler makes WebAssembly on this machine: solved here once, for everything in the workspace.
//!
//! 1. The Rust that is used anyway, with its target `wasm32-wasip2`, installed or added by rustup.
//! 2. Where rustup cannot add targets: Debian's `rustc-web` with its sources. cargo builds std from them for
//!    `wasm32-unknown-unknown`, and [`super::component`] makes components of the modules.
//!
//! `CAMSHAFT_WASM_TOOLCHAIN=rustup` or `=debian` takes one of them and no other.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use semver::Version;

use super::component;
use crate::process::Process;
use crate::progress;
use crate::workspace::Workspace;

const CHOICE: &str = "CAMSHAFT_WASM_TOOLCHAIN";
const WASIP2: &str = "wasm32-wasip2";
const BARE: &str = "wasm32-unknown-unknown";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A way to build WebAssembly components that works here.
pub enum Toolchain {
    /// The Rust at hand knows `wasm32-wasip2`.
    Rustup {
        /// What it says of itself.
        rustc: Rustc,
    },
    /// Debian's compiler and std sources, the linker of the Rust at hand.
    Debian {
        /// What it says of itself.
        rustc: Rustc,
        /// A WebAssembly linker.
        linker: PathBuf,
    },
}

/// A Rust compiler.
pub struct Rustc {
    version: Version,
    host: String,
    sysroot: PathBuf,
}

impl Toolchain {
    /// Finds one, and installs what it lacks where that can be done.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let root = &workspace.root;
        match env::var(CHOICE).as_deref() {
            Ok("rustup") => rustup(root),
            Ok("debian") => debian(root, &workspace.rust_version),
            Ok(other) if !other.is_empty() => bail!("{CHOICE} is `{other}`; it is `rustup` or `debian`"),
            _ => rustup(root)
                .or_else(|rustup| debian(root, &workspace.rust_version).map_err(|debian| neither(&rustup, &debian))),
        }
    }

    /// The name of the target that it builds for.
    pub fn target(&self) -> &'static str {
        match self {
            Self::Rustup { .. } => WASIP2,
            Self::Debian { .. } => BARE,
        }
    }

    /// A call of cargo that compiles with it.
    pub fn cargo(&self, workspace: &Workspace) -> Process {
        match self {
            Self::Rustup { .. } => workspace.cargo(),
            Self::Debian { linker, .. } => workspace
                .cargo()
                // `cargo run` points it at the libraries of the other compiler.
                .without_env("LD_LIBRARY_PATH")
                .env("RUSTC", DEBIAN_RUSTC)
                // Building std is not a stable feature of cargo, though it has been the same for years.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                .arg("-Zbuild-std=std,panic_abort"),
        }
    }

    /// The component of what cargo has built.
    pub fn component(&self, built: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Self::Rustup { .. } => Ok(built),
            Self::Debian { .. } => component::from_module(&built),
        }
    }
}

/// The one line that says which is used.
impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rustup { rustc } => write!(f, "Rust {} with its target {WASIP2}", rustc.version),
            Self::Debian { rustc, .. } => {
                write!(f, "Debian's rustc-web {}, std built from source for {BARE}", rustc.version)
            }
        }
    }
}

fn rustup(folder: &Path) -> Result<Toolchain> {
    let rustc = Rustc::ask(rustc_at_hand(), folder)?;
    let libraries = rustc.sysroot.join("lib/rustlib").join(WASIP2).join("lib");
    if !libraries.is_dir() {
        // What rustup says of itself when it fails helps nobody here.
        let add = Process::new("rustup", folder).args(["target", "add", WASIP2]).without_env("RUST_BACKTRACE");
        // No failure yet: there is another way.
        let added = add.read();
        if !libraries.is_dir() {
            added?;
            bail!("`{add}` ran, but the target is not at {}", libraries.display());
        }
    }
    Ok(Toolchain::Rustup { rustc })
}

fn debian(folder: &Path, oldest: &Version) -> Result<Toolchain> {
    if !debian_is_there() {
        install_debian(folder)?;
    }
    let rustc = Rustc::ask(DEBIAN_RUSTC.into(), folder)?;
    if rustc.version < *oldest {
        bail!("{DEBIAN_RUSTC} is {}, and the workspace needs {oldest}", rustc.version);
    }
    let at_hand = Rustc::ask(rustc_at_hand(), folder)?;
    let linker = linker(&at_hand).or_else(|| linker(&rustc)).with_context(|| {
        format!("no WebAssembly linker: neither rust-lld in {} nor wasm-ld in PATH", at_hand.sysroot.display())
    })?;
    Ok(Toolchain::Debian { rustc, linker })
}

fn debian_is_there() -> bool {
    Path::new(DEBIAN_RUSTC).is_file() && Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
}

fn install_debian(folder: &Path) -> Result<()> {
    let apt = |arguments: &[&str]| {
        Process::new("apt-get", folder).env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet").args(arguments)
    };
    let wanted = DEBIAN_PACKAGES.join(" ");
    if !apt(&["--version"]).succeeds(Duration::from_secs(30)) {
        bail!("this machine has no apt-get that could install {wanted}");
    }
    if Process::new("id", folder).arg("-u").read()? != "0" {
        bail!("{wanted} are missing, and only root installs them: sudo apt-get install {wanted}");
    }
    progress::step("reading Debian's list of packages", &apt(&["update"]))?;
    let install = apt(&["install", "--yes", "--no-install-recommends"]).args(DEBIAN_PACKAGES);
    progress::step(&format!("installing {wanted}"), &install)?;
    if !debian_is_there() {
        bail!("{wanted} are installed, but the compiler or the sources of std are not where Debian puts them");
    }
    Ok(())
}

fn neither(rustup: &anyhow::Error, debian: &anyhow::Error) -> anyhow::Error {
    anyhow::anyhow!(
        "nothing here compiles to WebAssembly. Do one of these, then run this again:\n\
         \n\
         \x20   rustup target add {WASIP2}\n\
         \x20   sudo apt-get install {packages}\n\
         \n\
         the first did not work: {rustup:#}\n\
         nor did the second: {debian:#}",
        packages = DEBIAN_PACKAGES.join(" ")
    )
}

fn rustc_at_hand() -> PathBuf {
    env::var_os("RUSTC").filter(|rustc| !rustc.is_empty()).map_or_else(|| "rustc".into(), PathBuf::from)
}

fn linker(rustc: &Rustc) -> Option<PathBuf> {
    let own = rustc.sysroot.join("lib/rustlib").join(&rustc.host).join("bin/rust-lld");
    let path = env::var_os("PATH").unwrap_or_default();
    [own].into_iter().chain(env::split_paths(&path).map(|folder| folder.join("wasm-ld"))).find(|file| file.is_file())
}

impl Rustc {
    fn ask(program: PathBuf, folder: &Path) -> Result<Self> {
        let process = Process::new(&program, folder).without_env("LD_LIBRARY_PATH");
        let said = process.clone().arg("-vV").read()?;
        let field = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let version = field("release:").with_context(|| format!("{} does not say its release", program.display()))?;
        let host = field("host:").with_context(|| format!("{} does not say its host", program.display()))?;
        Ok(Self {
            version: Version::parse(version)
                .with_context(|| format!("the release `{version}` of {}", program.display()))?,
            host: host.to_owned(),
            sysroot: process.args(["--print", "sysroot"]).read()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_tells_its_version_and_where_it_lives() {
        let rustc = Rustc::ask(rustc_at_hand(), Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(rustc.sysroot.join("lib").is_dir(), "{}", rustc.sysroot.display());
        assert!(rustc.version >= Version::new(1, 95, 0));
    }

    #[test]
    fn a_machine_with_neither_is_told_both_ways_and_why_they_failed() {
        let error = neither(&anyhow::anyhow!("no rustup"), &anyhow::anyhow!("no apt-get")).to_string();
        for text in ["rustup target add wasm32-wasip2", "rustc-web rust-web-src", "no rustup", "no apt-get"] {
            assert!(error.contains(text), "{error}");
        }
    }
}
