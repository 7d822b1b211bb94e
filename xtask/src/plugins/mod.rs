//! `cargo xtask plugins`: every crate that is a plugin becomes a WebAssembly component, in the folder of its role.
//!
//! A file is only written when its bytes have changed: the server's build script carries the shipped ones inside the binary
//! and would compile again for every new time stamp.

mod component;
mod releases;
mod toolchain;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use self::releases::Profile;
use self::toolchain::Toolchain;
use crate::progress;
use crate::workspace::{Component, Role, Workspace};

/// The guests' stack. Every fresh instance starts with the whole of it in memory, so the customary MiB costs time.
const STACK_BYTES: u32 = 256 * 1024;

/// Builds what people deploy, what the binary carries and what the tests call.
pub fn run(workspace: &Workspace, profile: Profile) -> Result<()> {
    build(workspace, &[Role::Shipped, Role::Example, Role::Guest], profile)
}

/// Builds the components for these roles; the host that asks the shipped ones what they are is compiled in a profile.
pub fn build(workspace: &Workspace, roles: &[Role], profile: Profile) -> Result<()> {
    let toolchain = Toolchain::find(workspace)?;
    println!("Wasm toolchain: {toolchain}");
    let wanted = workspace.components_for(roles);
    let (guests, plugins): (Vec<_>, Vec<&Component>) =
        wanted.iter().partition(|component| component.role == Role::Guest);
    // What one call compiles has the features of each. Tasks want some that would make every adapter larger.
    let (adapters, tasks): (Vec<_>, Vec<_>) = plugins.into_iter().partition(|component| component.adapter);
    compile(workspace, &toolchain, "plugin", &tasks)?;
    compile(workspace, &toolchain, "plugin", &adapters)?;
    compile(workspace, &toolchain, "guest", &guests)?;
    forget_removed(&wanted)?;
    let shipped: Vec<_> = wanted.iter().filter(|component| component.role == Role::Shipped).copied().collect();
    releases::describe(workspace, &shipped, profile)
}

/// One call of cargo for all of these crates, so that every core has work.
fn compile(workspace: &Workspace, toolchain: &Toolchain, profile: &str, components: &[&Component]) -> Result<()> {
    if components.is_empty() {
        return Ok(());
    }
    let packages = components.iter().flat_map(|component| ["--package", component.package.as_str()]);
    let cargo = toolchain
        .cargo(workspace)
        .args(["build", "--profile", profile, "--target", toolchain.target()])
        .args(packages)
        .env("CARGO_TARGET_DIR", &workspace.target_wasm)
        // This variable wins over every other way to give flags, so what is built does not hang on who builds it.
        .env("CARGO_ENCODED_RUSTFLAGS", flags()?.join("\u{1f}"));
    let said = progress::step(&format!("building {} {profile}s to WebAssembly", components.len()), &cargo)?;
    if said.contains("warning") {
        println!("{}", said.trim_end());
    }
    let built = workspace.target_wasm.join(toolchain.target()).join(profile);
    for component in components {
        let file = built.join(format!("{}.wasm", component.artifact));
        let bytes = fs::read(&file).with_context(|| format!("cargo made no {}", file.display()))?;
        let no_component = || format!("{} makes no component", component.package);
        let bytes = toolchain.component(bytes).and_then(|bytes| component::without_names(&bytes));
        write_changed(&component.file(), &bytes.with_context(no_component)?)?;
    }
    Ok(())
}

/// What the compiler is told besides. Vectors make SHA-256 smaller, and faster. Addresses take five bytes each unless the linker is
/// told to write them short. Panics name the file of a crate, wherever it is kept here: a component, and so its digest, is the same
/// whoever builds it.
fn flags() -> Result<Vec<String>> {
    let mut flags = ["-Ctarget-feature=+simd128", "-Clink-arg=--compress-relocations"].map(str::to_owned).to_vec();
    flags.push(format!("-Clink-arg=-zstack-size={STACK_BYTES}"));
    let own = std::env::home_dir().map(|home| home.join(".cargo"));
    let kept = std::env::var_os("CARGO_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from).or(own);
    let sources = kept.context("cargo keeps its sources in CARGO_HOME, or at home")?.join("registry/src");
    // None yet where nothing was ever built.
    for index in fs::read_dir(&sources).into_iter().flatten() {
        flags.push(format!("--remap-path-prefix={}/=", index?.path().display()));
    }
    flags.sort();
    Ok(flags)
}

fn write_changed(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = file.parent().context("a component's file is in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, bytes))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Takes away the components whose crates are gone: the server would go on carrying them.
fn forget_removed(wanted: &[&Component]) -> Result<()> {
    let kept: BTreeSet<_> = wanted.iter().map(|component| component.file()).collect();
    let folders: BTreeSet<_> = wanted.iter().map(|component| &component.folder).collect();
    for folder in folders {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let file = entry?.path();
            if file.extension().is_some_and(|ending| ending == "wasm") && !kept.contains(&file) {
                fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(folder: &Path, name: &str) -> Component {
        let (package, artifact) = (name.to_owned(), name.to_owned());
        let (role, folder) = (Role::Shipped, folder.to_owned());
        Component { name: name.to_owned(), package, artifact, role, adapter: false, folder }
    }

    #[test]
    fn an_unchanged_component_keeps_its_time_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/echo.wasm");
        write_changed(&file, b"one").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
        write_changed(&file, b"one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), long_ago);
        write_changed(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
    }

    #[test]
    fn the_component_of_a_crate_that_is_gone_goes_too() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["echo.wasm", "gone.wasm", "note.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        forget_removed(&[&component(folder.path(), "echo")]).unwrap();
        let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["echo.wasm", "note.txt"]);
    }
}
