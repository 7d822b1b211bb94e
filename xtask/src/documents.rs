//! `cargo xtask documents`: what the documents promise is there. The commands of xtask that they show, in blocks for the shell
//! or in the text, are commands that it has, with those options; files that they link to exist.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Parser;
use clap::error::ErrorKind;

use crate::Cli;
use crate::progress;
use crate::workspace::Workspace;

/// Holds every document against the repository.
pub fn run(workspace: &Workspace) -> Result<()> {
    progress::doing("documents", |_| {
        let mut faults = Vec::new();
        for file in documents(&workspace.root)? {
            let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let shown = file.strip_prefix(&workspace.root).unwrap_or(&file).display();
            let folder = file.parent().unwrap_or(&workspace.root);
            faults.extend(faults_of(&text, folder).into_iter().map(|fault| format!("{shown}:{fault}")));
        }
        if !faults.is_empty() {
            bail!("documents failed:\n{}\nto run it alone: cargo xtask documents", faults.join("\n"));
        }
        Ok(())
    })
}

/// The documents at the top, those under `docs/`, and those of the examples.
fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let readme = root.join("README.md");
    if !readme.is_file() {
        bail!("README.md is missing");
    }
    let mut documents = Vec::new();
    markdown(root, 0, &mut documents)?;
    for folder in ["docs", "examples", "plugins", "sdk", "tests"] {
        if root.join(folder).is_dir() {
            markdown(&root.join(folder), 4, &mut documents)?;
        }
    }
    documents.sort();
    Ok(documents)
}

fn markdown(folder: &Path, deeper: u32, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && deeper > 0 {
            markdown(&path, deeper - 1, found)?;
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// What is wrong in a document that lies in `folder`, each fault with its line.
fn faults_of(text: &str, folder: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let mut block: Option<&str> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        match (line.strip_prefix("```"), block) {
            (Some(language), None) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (None, Some("sh" | "console" | "text")) => {
                faults.extend(wrong_command(line).map(|fault| format!("{number}: {fault}")))
            }
            (None, Some(_)) => {}
            (None, None) => {
                let spans = line.split('`').skip(1).step_by(2);
                faults.extend(spans.filter_map(wrong_command).map(|fault| format!("{number}: {fault}")));
                let missing = links(line).filter(|link| !exists(folder, link));
                faults.extend(missing.map(|link| format!("{number}: the link `{link}` leads nowhere")));
            }
        }
    }
    faults
}

/// Why xtask would not take the command of a line, where it is one of xtask's.
fn wrong_command(line: &str) -> Option<String> {
    let command = line.trim_start_matches("$ ").split(" #").next().unwrap_or_default();
    if !command.starts_with("cargo xtask") || command.ends_with('…') {
        return None;
    }
    let error = Cli::try_parse_from(command.split_whitespace().skip(1)).err()?;
    let help = [ErrorKind::DisplayHelp, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand].contains(&error.kind());
    let reason = error.to_string();
    (!help).then(|| format!("`{command}`: {}", reason.lines().next().unwrap_or_default()))
}

/// The targets of `[text](target)` in a line, without those in code.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').step_by(2).flat_map(|text| text.split("](").skip(1)).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?;
        let outside = target.contains("://") || target.starts_with("mailto:") || target.starts_with('#');
        (!outside && !target.is_empty()).then_some(target)
    })
}

fn exists(folder: &Path, link: &str) -> bool {
    let path = link.split('#').next().unwrap_or(link);
    folder.join(path).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn commands_and_options_that_xtask_lacks_are_found_with_their_line() {
        let text = "```sh\ncargo xtask demo --once   # watch it\ncargo xtask dmo\ncargo xtask demo --twice\n$ cargo xtask\nls\n```\n";
        let faults = faults_of(text, here());
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("3: `cargo xtask dmo`: "), "{faults:?}");
        assert!(faults[1].starts_with("4: ") && faults[1].contains("--twice"), "{faults:?}");
    }

    #[test]
    fn commands_in_the_text_count_too() {
        let faults = faults_of("Type `cargo xtask demo` or `cargo xtask …`, not `cargo xtask dem`.\n", here());
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("1: `cargo xtask dem`"), "{faults:?}");
    }

    #[test]
    fn links_to_files_that_are_not_there_are_found() {
        let text = "[a](Cargo.toml) [b](Cargo.toml#x) [c](https://x.example/y) [d](#here)\n`[e](f)` [g](nowhere.md)\n";
        assert_eq!(faults_of(text, here()), ["2: the link `nowhere.md` leads nowhere"]);
    }

    #[test]
    fn what_stands_in_a_block_is_no_link() {
        assert_eq!(faults_of("```yaml\n[a](nowhere)\n```\n", here()), Vec::<String>::new());
    }
}
