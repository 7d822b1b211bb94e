//! Embeds the shipped plugins: the components that `cargo xtask plugins` put under `target/plugins`.
//!
//! What is missing is a warning here, so that people who work on something else are not kept waiting, and an error when
//! the server starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let workspace = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let workspace = workspace.canonicalize().expect("the crate stands in its workspace");
    let built = workspace.join("target/plugins");
    println!("cargo::rerun-if-changed={}", built.display());

    let mut wanted = BTreeSet::from(["expression".to_owned()]);
    for folder in ["plugins/tasks", "plugins/adapters"] {
        let folder = workspace.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        wanted.extend(names(&folder, |path| path.join("Cargo.toml").is_file()));
    }
    let found = names(&built, |path| path.extension().is_some_and(|extension| extension == "wasm"));
    let missing: Vec<_> = wanted.difference(&found).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(|name| name.as_str()).collect();
        println!("cargo::warning=built without {}: run `cargo xtask plugins`, then build again", missing.join(", "));
    }

    // Digests are made here, so that a start need not read every component.
    let mut code = String::from("/// Name, digest and component of each shipped plugin.\n");
    code.push_str("pub const EMBEDDED: &[(&str, [u8; 32], &[u8])] = &[\n");
    for name in &found {
        let path = built.join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", path.display());
        let digest = blake3::hash(&fs::read(&path).expect("the component was listed just now"));
        let path = path.display().to_string();
        code.push_str(&format!("    ({name:?}, {:?}, include_bytes!({path:?})),\n", digest.as_bytes()));
    }
    code.push_str("];\n\n/// Shipped plugins that were not there when this was built.\n");
    code.push_str(&format!("pub const MISSING: &[&str] = &{missing:?};\n"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("embedded.rs");
    fs::write(out, code).expect("cargo's output folder can be written");
}

fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| wanted(path));
    paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
}
