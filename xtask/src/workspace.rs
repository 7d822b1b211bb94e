//! Where things are: the clone, the target folders, and the crates that become WebAssembly components.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use semver::Version;

use crate::process::Process;

/// The clone that xtask was called in.
pub struct Workspace {
    /// The clone's folder.
    pub root: PathBuf,
    /// Where cargo builds for this machine; CI and `CARGO_TARGET_DIR` move it out of the clone.
    pub target: PathBuf,
    /// Where cargo builds for WebAssembly: a folder of its own, so that neither waits for the other's lock.
    pub target_wasm: PathBuf,
    /// The oldest Rust that compiles the workspace.
    pub rust_version: Version,
    /// Every crate that becomes a component, by name.
    pub components: Vec<Component>,
}

/// A crate with `[package.metadata.camshaft] plugin = "<name>"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// The plugin's name.
    pub name: String,
    /// The crate's name.
    pub package: String,
    /// The name of the file that cargo makes, without its ending.
    pub artifact: String,
    /// What it is for.
    pub role: Role,
    /// Whether it is an adapter, which is compiled with its like only.
    pub adapter: bool,
    /// The folder that the component goes to.
    pub folder: PathBuf,
}

/// What a component is for: that decides how it is built and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Carried by the server binary; from `plugins/`, to `target/plugins`.
    Shipped,
    /// Deployed with an example; from `examples/<x>/plugin`, to `examples/<x>/plugins`.
    Example,
    /// For tests, many of them bad on purpose; from `tests/guests`, to `target/guests`.
    Guest,
    /// For comparisons; from `bench/`, to `target/bench`.
    Bench,
}

impl Component {
    /// The component's file.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }
}

impl Workspace {
    /// Asks cargo about the clone.
    pub fn find() -> Result<Self> {
        // Cargo says where this clone is when it runs xtask; what was compiled in may be another clone of the same target folder.
        let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = Path::new(&own).with_file_name("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(&manifest)
            .no_deps()
            .exec()
            .with_context(|| format!("cannot read the workspace of {}", manifest.display()))?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let outside = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) if !folder.is_empty() => Some(env::current_dir()?.join(folder)),
            _ if on_ci() => Some(cache_folder()?.join("target")),
            _ => None,
        };
        // A folder that several clones share has its WebAssembly beside it; a clone's own keeps it inside.
        let target_wasm = match outside.as_deref().and_then(Path::parent) {
            Some(parent) => parent.join("target-wasm"),
            None => root.join("target/wasm"),
        };
        Ok(Self {
            target: outside.unwrap_or_else(|| root.join("target")),
            target_wasm,
            rust_version: rust_version(&metadata)?,
            components: components(&metadata, &root),
            root,
        })
    }

    /// A call of cargo in the clone that builds into the target folder.
    pub fn cargo(&self) -> Process {
        let mut process = Process::cargo(&self.root);
        if self.target != self.root.join("target") {
            process = process.env("CARGO_TARGET_DIR", &self.target);
        }
        process
    }

    /// The program that the dev profile makes of the binary `name`.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The components for these roles.
    pub fn components_for(&self, roles: &[Role]) -> Vec<&Component> {
        self.components.iter().filter(|component| roles.contains(&component.role)).collect()
    }
}

/// Whether this is a continuous integration machine, as GitHub, GitLab and the others say it.
pub fn on_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

fn cache_folder() -> Result<PathBuf> {
    let home = env::home_dir().context("there is no home folder for the target folder; set CARGO_TARGET_DIR")?;
    Ok(home.join(".cache/camshaft"))
}

fn rust_version(metadata: &Metadata) -> Result<Version> {
    metadata
        .workspace_packages()
        .into_iter()
        .filter_map(|package| package.rust_version.clone())
        .max()
        .context("no crate of the workspace states its `rust-version`")
}

fn components(metadata: &Metadata, root: &Path) -> Vec<Component> {
    let mut components: Vec<_> =
        metadata.workspace_packages().into_iter().filter_map(|package| component(package, root)).collect();
    components.sort();
    components
}

fn component(package: &Package, root: &Path) -> Option<Component> {
    let name = package.metadata.get("camshaft")?.get("plugin")?.as_str()?.to_owned();
    let artifact =
        package.targets.iter().find(|target| target.kind.contains(&TargetKind::CDyLib))?.name.replace('-', "_");
    let folder = package.manifest_path.parent()?.as_std_path();
    let folder = folder.strip_prefix(root).ok()?;
    let adapter = folder.starts_with("plugins/adapters");
    let (role, folder) = place(folder)?;
    Some(Component { name, package: package.name.to_string(), artifact, role, adapter, folder: root.join(folder) })
}

/// What the component of a crate in this folder is for, and where it goes, both relative to the clone.
fn place(folder: &Path) -> Option<(Role, PathBuf)> {
    let parts: Vec<_> = folder.iter().filter_map(|part| part.to_str()).collect();
    Some(match parts.as_slice() {
        ["plugins", ..] => (Role::Shipped, PathBuf::from("target/plugins")),
        ["tests", "guests", _] => (Role::Guest, PathBuf::from("target/guests")),
        ["examples", example, ..] => (Role::Example, Path::new("examples").join(example).join("plugins")),
        ["bench", ..] => (Role::Bench, PathBuf::from("target/bench")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_guests_has_its_place() {
        let place = |folder: &str| place(Path::new(folder));
        assert_eq!(place("plugins/tasks/echo"), Some((Role::Shipped, "target/plugins".into())));
        assert_eq!(place("tests/guests/loop"), Some((Role::Guest, "target/guests".into())));
        assert_eq!(place("examples/a/plugin"), Some((Role::Example, "examples/a/plugins".into())));
        assert_eq!(place("bench/guest"), Some((Role::Bench, "target/bench".into())));
        assert_eq!(place("runtime/model"), None);
    }

    #[test]
    fn no_two_components_go_to_the_same_file() {
        let workspace = Workspace::find().unwrap();
        let mut files: Vec<_> = workspace.components.iter().map(Component::file).collect();
        files.sort();
        let count = files.len();
        files.dedup();
        assert_eq!(files.len(), count, "two crates have the same `plugin` name");
    }
}
