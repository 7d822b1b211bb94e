//! `camshaft deploy DIR`: everything that a folder holds, in the order in which it depends on each other.
//!
//! Plugins, grants, integrations, then workflows. Nothing is published before every document is in order.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

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

    let mut told = Told { session, parts: PARTS.iter().map(|part| ((*part).to_owned(), json!([]))).collect() };
    for file in plugins {
        let (pushed, new) = plugin::push(session, &file)?;
        told.tell("plugins", pushed, |pushed| plugin::pushed_line(pushed, new))?;
    }
    if grants.is_file() {
        let all = read_yaml(&grants)?;
        let all = all.as_object().with_context(|| format!("{} is a map of plugins and grants", grants.display()))?;
        for (name, grant) in all {
            session.client.json("PUT", &format!("/api/v1/plugins/{}/grant", escape(name)), grant)?;
            told.tell("grants", json!({"plugin": name, "grant": grant}), |_| format!("grant {name}"))?;
        }
    }
    for file in integrations {
        told.tell("integrations", integration::apply(session, &file)?, integration::applied_line)?;
    }
    let mut bad = BadDocument::default();
    let mut applied: Vec<String> = Vec::new();
    for file in workflows {
        match workflow::apply(session, &file) {
            Ok((workflow, new)) => {
                applied.push(text(&workflow["name"]));
                let news = if new { "" } else { " (unchanged)" };
                told.tell("workflows", workflow, |workflow| format!("{}{news}", workflow::applied_line(workflow)))?;
            }
            Err(error) => bad.take(error)?,
        }
    }
    bad.done()?;
    if publish {
        publish_all(&mut told, applied)?;
    }
    told.end()
}

/// Publishes workflows that may start each other: one that is refused is tried again once others are published.
fn publish_all(told: &mut Told<'_>, mut left: Vec<String>) -> Result<()> {
    while !left.is_empty() {
        let (mut refused, mut first) = (Vec::new(), None);
        let before = left.len();
        for name in left {
            match workflow::publish(told.session, &name, None, None) {
                Ok(published) => {
                    told.tell("published", published, |published| workflow::published_line(published, None))?;
                }
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

/// What a deployment tells programs of, each a list of the server's answers.
const PARTS: [&str; 5] = ["plugins", "grants", "integrations", "workflows", "published"];

/// Lines for people as things get done; for programs one object at the end.
struct Told<'a> {
    session: &'a Session,
    parts: Map<String, Value>,
}

impl Told<'_> {
    fn tell(&mut self, part: &str, answer: Value, line: impl FnOnce(&Value) -> String) -> Result<()> {
        if !self.session.json {
            return say(&line(&answer));
        }
        if let Some(answers) = self.parts.get_mut(part).and_then(Value::as_array_mut) {
            answers.push(answer);
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        if self.session.json { say(&serde_json::to_string_pretty(&self.parts)?) } else { Ok(()) }
    }
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
