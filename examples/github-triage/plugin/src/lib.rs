//! The task `classify`: what an issue or pull request is about, how much it matters, and which labels it should get.
//!
//! It only reads its input, so it is silent: the runtime needs no disk write before or after it.

mod rules;

use camshaft_sdk::prelude::*;

/// An issue or a pull request, as GitHub's webhook has it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its title.
    pub title: String,
    /// Its text, in Markdown; GitHub sends null where there is none.
    #[serde(default)]
    pub body: Option<String>,
    /// Names of the labels that it already has.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Login of who opened it.
    #[serde(default)]
    pub author: Option<String>,
    /// GitHub's `author_association`: `MEMBER`, `FIRST_TIME_CONTRIBUTOR`, `NONE`, …
    #[serde(default)]
    pub author_association: Option<String>,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An issue.
    Issue,
    /// A pull request.
    PullRequest,
}

/// What an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// A hole that somebody could use.
    Security,
    /// Something does not work.
    Bug,
    /// Something is to be explained better.
    Docs,
    /// Somebody wants to know something.
    Question,
    /// Something new is wanted.
    Feature,
    /// Housekeeping: dependencies, builds, refactoring.
    Chore,
    /// None of these.
    Other,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Drop everything.
    Urgent,
    /// This week.
    High,
    /// In its turn.
    Normal,
    /// When there is time.
    Low,
}

/// The verdict.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Triage {
    /// What it is about.
    pub category: Category,
    /// How much it matters.
    pub priority: Priority,
    /// Labels to add; those it already has are left out.
    pub labels: Vec<String>,
    /// Why, in one sentence.
    pub reason: String,
}

/// Classifies a GitHub issue or pull request by its labels, its title and its text.
#[task(example(file = "cases/crash.json"), example(file = "cases/docs-pull-request.json"))]
pub fn classify(input: Item) -> Result<Triage, Failure> {
    if input.title.trim().is_empty() {
        return Err(Failure::invalid_input("`title` is empty: there is nothing to classify"));
    }
    let triage = rules::judge(&input);
    let author = input.author.as_deref().unwrap_or("somebody");
    log::info!({ "category": triage.category, "priority": triage.priority }, "{author}: {}", triage.reason);
    Ok(triage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_sdk::testing::{self, Host};

    #[test]
    fn golden_cases_hold() {
        testing::task_cases::<classify>("cases");
    }

    #[test]
    fn the_verdict_is_logged_with_its_fields() {
        let host = Host::new();
        let input = json!({ "kind": "issue", "title": "How do I log in?", "author": "ada" });
        let triage = host.run(|| testing::call::<classify>(input)).unwrap();
        let line = &host.logs()[0];
        assert!(line.message.starts_with("ada: "), "{}", line.message);
        assert_eq!(line.fields["category"], triage["category"]);
    }

    #[test]
    fn an_unknown_kind_is_named_with_what_is_allowed() {
        let failure = testing::call::<classify>(json!({ "kind": "discussion", "title": "x" })).unwrap_err();
        assert_eq!(failure.message, "`kind`: unknown variant `discussion`, expected `issue` or `pull_request`");
    }
}
