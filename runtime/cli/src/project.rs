//! A new plugin's project: a folder of files that pass their tests as they are, made of the templates in `templates`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::arguments::Kind;

/// Files of a project, by their paths in it.
type Templates = &'static [(&'static str, &'static str)];

const GITIGNORE: &str = include_str!("../templates/gitignore");
/// What the compiler is told besides, as `cargo xtask plugins` tells it.
const CARGO: &str = include_str!("../templates/cargo.toml");
const ADAPTER: Templates = &[
    ("Cargo.toml", include_str!("../templates/adapter/Cargo.toml")),
    ("README.md", include_str!("../templates/adapter/README.md")),
    (".gitignore", GITIGNORE),
    (".cargo/config.toml", CARGO),
    ("src/lib.rs", include_str!("../templates/adapter/src/lib.rs")),
    ("src/tests.rs", include_str!("../templates/adapter/src/tests.rs")),
    ("samples/order.paid.json", include_str!("../templates/adapter/samples/order.paid.json")),
    ("cases/order.paid.json", include_str!("../templates/adapter/cases/order.paid.json")),
];
const TASK: Templates = &[
    ("Cargo.toml", include_str!("../templates/task/Cargo.toml")),
    ("README.md", include_str!("../templates/task/README.md")),
    (".gitignore", GITIGNORE),
    (".cargo/config.toml", CARGO),
    ("src/lib.rs", include_str!("../templates/task/src/lib.rs")),
    ("src/tests.rs", include_str!("../templates/task/src/tests.rs")),
    ("cases/by-name.json", include_str!("../templates/task/cases/by-name.json")),
    ("cases/empty-name.json", include_str!("../templates/task/cases/empty-name.json")),
];
/// Names that a crate with the SDK cannot have.
const TAKEN: [&str; 6] = ["alloc", "camshaft-sdk", "camshaft-sdk-macros", "core", "std", "test"];

/// Makes the folder of a plugin of this kind and name; gives the paths of its files.
pub(crate) fn make(folder: &Path, kind: Kind, name: &str, sdk: Option<&Path>) -> Result<Vec<&'static str>> {
    check_name(name)?;
    let sdk = dependency(sdk)?;
    let is_there = fs::exists(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    ensure!(!is_there, "{} is there already; a project gets a folder of its own", folder.display());

    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().keep_trailing_newline(true).build()?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let words: Vec<String> = name.split('-').filter(|word| !word.is_empty()).map(capitalised).collect();
    let values = context! {
        name,
        sdk,
        artifact => name.replace('-', "_"),
        title => words.join(" "),
        // No name of the SDK's ends so.
        type_name => format!("{}Webhooks", words.concat()),
        header => format!("X-{}", words.join("-")),
    };
    let templates = match kind {
        Kind::Adapter => ADAPTER,
        Kind::Task => TASK,
    };
    for (path, template) in templates {
        let text = environment.render_str(template, &values).with_context(|| format!("the template of {path}"))?;
        let file = folder.join(path);
        let parent = file.parent().context("a project's file is in a folder")?;
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(templates.iter().map(|(path, _)| *path).collect())
}

/// A plugin's name that is also a crate's.
fn check_name(name: &str) -> Result<()> {
    let begins = name.starts_with(|letter: char| letter.is_ascii_lowercase());
    let rest = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    ensure!(
        begins && rest && name.len() <= 63,
        "`{name}` cannot be the name of a plugin's project: it is [a-z][a-z0-9-]{{0,62}}"
    );
    ensure!(!TAKEN.contains(&name), "`{name}` cannot be the name of a plugin's project: a crate that it needs has it");
    Ok(())
}

/// Where the SDK comes from, as TOML: its folder, or the repository.
fn dependency(sdk: Option<&Path>) -> Result<String> {
    let Some(folder) = sdk else {
        return Ok(format!("{{ git = \"{}\" }}", env!("CARGO_PKG_REPOSITORY")));
    };
    let folder: PathBuf = folder.canonicalize().with_context(|| format!("cannot find {}", folder.display()))?;
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    if !text.lines().any(|line| line.trim() == "name = \"camshaft-sdk\"") {
        bail!("{} is not the SDK's: its name is not `camshaft-sdk`", manifest.display());
    }
    let path = serde_json::to_string(&folder).context("the SDK's path is no text")?;
    Ok(format!("{{ path = {path} }}"))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_its_place_in_every_file() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("acme-shop");
        let files = make(&project, Kind::Adapter, "acme-shop", None).unwrap();
        let text = |file: &str| fs::read_to_string(project.join(file)).unwrap();
        for file in &files {
            assert!(!text(file).contains("{{") && text(file).ends_with('\n'), "{file}: {}", text(file));
        }
        assert!(text("src/lib.rs").contains("pub struct AcmeShopWebhooks;"), "{}", text("src/lib.rs"));
        assert!(text("src/lib.rs").contains("\"X-Acme-Shop-Signature\""));
        assert!(text("README.md").contains("release/acme_shop.wasm"));
        assert!(text("Cargo.toml").contains("camshaft-sdk = { git = \"https://"), "{}", text("Cargo.toml"));
        let again = make(&project, Kind::Task, "acme-shop", None).unwrap_err().to_string();
        assert!(again.contains("acme-shop is there already"), "{again}");
    }

    #[test]
    fn a_project_is_compiled_as_our_own_plugins_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let read =
            |file: PathBuf| fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let toml = |text: &str| text.parse::<toml::Table>().unwrap();
        let ours = toml(&read(root.join("Cargo.toml")))["profile"]["plugin"].clone();
        let folder = tempfile::tempdir().unwrap();
        for (kind, name) in [(Kind::Adapter, "adapter"), (Kind::Task, "task")] {
            let project = folder.path().join(name);
            make(&project, kind, "acme", None).unwrap();
            let theirs = toml(&read(project.join("Cargo.toml")))["profile"]["release"].clone();
            for key in ["opt-level", "lto", "codegen-units", "strip", "panic"] {
                assert_eq!(theirs.get(key), ours.get(key), "{name}: {key}");
            }
            if name == "adapter" {
                assert_eq!(theirs["package"], ours["package"]);
            }
            let told = toml(&read(project.join(".cargo/config.toml")))["target"]["wasm32-wasip2"]["rustflags"].clone();
            let told: Vec<String> = told.try_into().unwrap();
            let xtask = read(root.join("xtask/src/plugins/mod.rs"));
            assert!(xtask.contains("STACK_BYTES: u32 = 256 * 1024;"));
            let (stack, others) = told.split_last().unwrap();
            assert_eq!(stack, &format!("-Clink-arg=-zstack-size={}", 256 * 1024));
            assert_eq!(others.len(), 2);
            assert!(others.iter().all(|flag| xtask.contains(&format!("\"{flag}\""))), "{others:?}");
        }
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "Acme", "3scale", "a_b", "-a", "core", &"a".repeat(64)] {
            let fault = make(&folder.path().join("new"), Kind::Task, name, None).unwrap_err().to_string();
            assert!(fault.contains(&format!("`{name}` cannot be the name")), "{fault}");
        }
        let elsewhere = make(&folder.path().join("new"), Kind::Task, "a", Some(folder.path())).unwrap_err();
        assert!(format!("{elsewhere:#}").contains("Cargo.toml"), "{elsewhere:#}");
        assert!(!folder.path().join("new").exists(), "nothing is left of it");
    }
}
