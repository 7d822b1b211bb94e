//! `camshaft deploy DIR`: everything that a folder holds, in the order in which it depends on each other.
//!
//! Plugins, grants, integrations, then workflows. Nothing is published before every document is in order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::workflow::BadDocument;
use super::{Session, integration, plugin, read_yaml, say, workflow};
use crate::client::escape;
use crate::view::text;

pub(super) fn deploy(session: &Session, folder: &Path, publish: bool) -> Result<()> {
    ensure!(folder.is_dir(), "{} is no folder", folder.display());
    let plugins = files(&folder.join("plugins"), &["wasm"])?;
    let integrations = files(&folder.join("integrations"), &["yaml", "yml", "json"])?;
    let workflows = files(&folder.join("workflows"), &["yaml", "yml", "json"])?;
    let grants = folder.join("grants.yaml");
    let found = !plugins.is_empty() || !integrations.is_empty() || !workflows.is_empty() || grants.is_file();
    ensure!(
        found,
        "{} holds nothing to deploy: plugins/*.wasm, grants.yaml, integrations/*.yaml, workflows/*.yaml",
        folder.display()
    );

    for file in plugins {
        let (pushed, new) = plugin::push(session, &file)?;
        say(&plugin::pushed_line(&pushed, new))?;
    }
    if grants.is_file() {
        let all = read_yaml(&grants)?;
        let all = all.as_object().with_context(|| format!("{} is a map of plugins and grants", grants.display()))?;
        for (name, grant) in all {
            session.client.json("PUT", &format!("/api/v1/plugins/{}/grant", escape(name)), grant)?;
            say(&format!("grant {name}"))?;
        }
    }
    for file in integrations {
        let applied = integration::apply(session, &file)?;
        say(&integration::applied_line(&applied))?;
    }
    let mut bad = BadDocument::default();
    let mut applied: Vec<Value> = Vec::new();
    for file in workflows {
        match workflow::apply(session, &file) {
            Ok((workflow, new)) => {
                let news = if new { "" } else { " (unchanged)" };
                say(&format!("{}{news}", workflow::applied_line(&workflow)))?;
                applied.push(workflow);
            }
            Err(error) => bad.take(error)?,
        }
    }
    bad.done()?;
    if publish {
        publish_all(session, applied.iter().map(|workflow| text(&workflow["name"])).collect())?;
    }
    Ok(())
}

/// Publishes workflows that may start each other: one that is refused is tried again once others are published.
fn publish_all(session: &Session, mut left: Vec<String>) -> Result<()> {
    while !left.is_empty() {
        let (mut refused, mut first) = (Vec::new(), None);
        let before = left.len();
        for name in left {
            match workflow::publish(session, &name, None, None) {
                Ok(published) => say(&workflow::published_line(&published, None))?,
                Err(error) => {
                    first.get_or_insert(error);
                    refused.push(name);
                }
            }
        }
        match first {
            Some(error) if refused.len() == before => return Err(error),
            _ => left = refused,
        }
    }
    Ok(())
}

/// Files of a folder with one of these endings, by name; none where there is no such folder.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
