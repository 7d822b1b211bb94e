//! The picture of ARCHITECTURE.md, held against what cargo says: no crate knows one that the star does not join it to, and
//! what is heavy stays in the one crate that needs it.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

use crate::support::server::workspace;

/// Every crate of the runtime, and those of ours that it may know.
const RUNTIME: &[(&str, &[&str])] = &[
    ("runtime/model", &[]),
    ("runtime/engine", &["runtime/model"]),
    ("runtime/store", &["runtime/model"]),
    ("runtime/host", &["runtime/model"]),
    ("runtime/triggers", &["runtime/model"]),
    ("runtime/server", &["runtime/model", "runtime/engine", "runtime/store", "runtime/host", "runtime/triggers"]),
    ("runtime/cli", &["runtime/server"]),
];

/// What guests are made with; everything else under these folders is a guest.
const FOR_GUESTS: &[(&str, &[&str])] =
    &[("sdk/rust", &["sdk/rust-macros"]), ("sdk/rust-macros", &[]), ("plugins/jq", &[])];
const GUESTS: &[&str] = &["plugins/", "examples/", "tests/guests/", "bench/guest", "bench/fibonacci"];
const GUESTS_KNOW: &[&str] = &["sdk/rust", "plugins/jq"];

/// What only the tests of a crate may know besides.
const TESTS_KNOW: &[(&str, &str)] = &[("runtime/engine", "plugins/jq")];

/// Those that look at everything from outside, and that nobody may know.
const TOOLS: &[&str] = &["xtask", "tests", "bench", "fuzz"];

/// Crates of others that only some of ours may name, by the beginning of their names.
const HEAVY: &[(&str, &[&str])] =
    &[("wasmtime", &["runtime/host"]), ("redb", &["runtime/store"]), ("axum", &["runtime/triggers", "runtime/server"])];

/// What must not come into the model by any way: it does no I/O and runs nothing.
const NOT_IN_MODEL: &[&str] = &["tokio", "wasmtime", "redb", "axum", "hyper", "mio", "socket2"];

/// One crate of ours names a crate.
struct Edge {
    /// The folder of the crate that names, relative to the workspace.
    from: String,
    /// The folder of one of ours, or the name of one of others.
    to: To,
    /// Whether only its tests and examples do.
    for_tests: bool,
}

enum To {
    Ours(String),
    Others(String),
}

fn metadata() -> Metadata {
    let manifest = workspace().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).exec().expect("cargo describes the workspace")
}

fn edges(metadata: &Metadata) -> Vec<Edge> {
    let relative = |folder: &cargo_metadata::camino::Utf8Path| {
        folder.strip_prefix(&metadata.workspace_root).expect("members are in the workspace").to_string()
    };
    let packages = metadata.workspace_packages();
    let edges = packages.into_iter().flat_map(|package| {
        let from = relative(package.manifest_path.parent().expect("a manifest is in a folder"));
        package.dependencies.iter().map(move |dependency| {
            let to = match &dependency.path {
                Some(path) => To::Ours(relative(path)),
                None => To::Others(dependency.name.clone()),
            };
            Edge { from: from.clone(), to, for_tests: dependency.kind == DependencyKind::Development }
        })
    });
    edges.collect()
}

/// Why an edge is not in the picture.
fn fault(edge: &Edge) -> Option<String> {
    let from = edge.from.as_str();
    if TOOLS.contains(&from) {
        return None;
    }
    match &edge.to {
        To::Ours(to) => {
            let known = RUNTIME.iter().chain(FOR_GUESTS).find(|(folder, _)| *folder == from).map(|(_, known)| *known);
            let known = known.or_else(|| GUESTS.iter().any(|start| from.starts_with(start)).then_some(GUESTS_KNOW));
            match known {
                None => Some(format!("{from} is not in the picture of ARCHITECTURE.md")),
                Some(_) if edge.for_tests && TESTS_KNOW.contains(&(from, to.as_str())) => None,
                Some(known) if !known.contains(&to.as_str()) => Some(format!("{from} may not depend on {to}")),
                Some(_) => None,
            }
        }
        To::Others(to) => {
            let (_, allowed) = HEAVY.iter().find(|(start, _)| to.starts_with(start))?;
            (!allowed.contains(&from)).then(|| format!("{from} may not depend on {to}, only {}", allowed.join(" and ")))
        }
    }
}

#[test]
fn every_edge_is_in_the_picture() {
    let faults: Vec<_> = edges(&metadata()).iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_of_the_picture_is_there() {
    let metadata = metadata();
    for (folder, _) in RUNTIME.iter().chain(FOR_GUESTS) {
        assert!(metadata.workspace_root.join(folder).join("Cargo.toml").is_file(), "{folder} is gone");
    }
}

#[test]
fn the_model_runs_nothing() {
    let metadata = metadata();
    let resolve = metadata.resolve.as_ref().expect("cargo resolves the workspace");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let names: BTreeMap<_, _> = metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let model = metadata.packages.iter().find(|package| package.name == "camshaft-model").expect("the model is there");

    let mut reached: BTreeMap<&PackageId, Option<&PackageId>> = BTreeMap::from([(&model.id, None)]);
    let mut next = vec![&model.id];
    while let Some(id) = next.pop() {
        for dependency in &nodes[id].deps {
            let linked = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if linked && !reached.contains_key(&dependency.pkg) {
                reached.insert(&dependency.pkg, Some(id));
                next.push(&dependency.pkg);
            }
        }
    }
    let way = |id: &PackageId| {
        let steps = std::iter::successors(Some(id), |id| reached[*id]).map(|id| names[id]);
        steps.collect::<Vec<_>>().join(" for ")
    };
    let found: BTreeSet<_> =
        reached.keys().filter(|id| NOT_IN_MODEL.contains(&names[**id])).map(|id| way(id)).collect();
    assert!(found.is_empty(), "the model links {found:?}");
}

#[test]
fn edges_that_the_picture_lacks_are_found() {
    let ours =
        |from: &str, to: &str| fault(&Edge { from: from.to_owned(), to: To::Ours(to.to_owned()), for_tests: false });
    let others =
        |from: &str, to: &str| fault(&Edge { from: from.to_owned(), to: To::Others(to.to_owned()), for_tests: false });
    assert_eq!(ours("runtime/engine", "runtime/model"), None);
    assert_eq!(ours("plugins/tasks/echo", "sdk/rust"), None);
    assert_eq!(ours("tests", "runtime/server"), None);
    assert_eq!(others("runtime/host", "wasmtime-wasi"), None);
    for (from, to) in [
        ("runtime/engine", "runtime/store"),
        ("runtime/model", "runtime/engine"),
        ("runtime/triggers", "runtime/engine"),
        ("runtime/cli", "runtime/store"),
        ("runtime/server", "sdk/rust"),
        ("sdk/rust", "runtime/model"),
        ("plugins/tasks/echo", "plugins/tasks/fail"),
        ("tests/guests/loop", "runtime/host"),
        ("runtime/server", "xtask"),
        ("somewhere/else", "runtime/model"),
    ] {
        assert!(ours(from, to).is_some(), "{from} -> {to}");
    }
    for (from, to) in [("runtime/server", "wasmtime"), ("runtime/engine", "redb"), ("runtime/model", "axum")] {
        assert!(others(from, to).is_some(), "{from} -> {to}");
    }
}
