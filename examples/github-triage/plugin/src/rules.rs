//! The rules: labels first, then the title's prefix, then words. Plain and in order, so that everybody can tell why.

use crate::{Category, Item, Kind, Priority, Triage};

/// Labels that maintainers have already given settle it.
const LABELS: &[(&str, Category)] = &[
    ("security", Category::Security),
    ("bug", Category::Bug),
    ("regression", Category::Bug),
    ("documentation", Category::Docs),
    ("docs", Category::Docs),
    ("question", Category::Question),
    ("support", Category::Question),
    ("enhancement", Category::Feature),
    ("feature", Category::Feature),
    ("dependencies", Category::Chore),
    ("chore", Category::Chore),
];

/// Prefixes of titles after Conventional Commits.
const PREFIXES: &[(&str, Category)] = &[
    ("fix", Category::Bug),
    ("feat", Category::Feature),
    ("docs", Category::Docs),
    ("chore", Category::Chore),
    ("build", Category::Chore),
    ("ci", Category::Chore),
    ("refactor", Category::Chore),
    ("test", Category::Chore),
    ("style", Category::Chore),
];

/// Words and phrases; the category with most of them wins, and the earlier one on a tie.
const WORDS: &[(Category, &[&str])] = &[
    (
        Category::Security,
        &["vulnerability", "security hole", "cve", "exploit", "xss", "sql injection", "remote code execution"],
    ),
    (
        Category::Bug,
        &[
            "bug",
            "crash",
            "crashes",
            "panic",
            "panics",
            "exception",
            "traceback",
            "stack trace",
            "segfault",
            "broken",
            "regression",
            "fails",
            "error",
            "does not work",
            "doesn't work",
            "not working",
            "data loss",
            "hangs",
            "wrong result",
        ],
    ),
    (
        Category::Docs,
        &["documentation", "docs", "readme", "typo", "spelling", "spelling error", "tutorial", "misspelled"],
    ),
    (
        Category::Question,
        &["how do i", "how can i", "how to", "is it possible", "what is the", "question", "why does", "where can i"],
    ),
    (
        Category::Feature,
        &[
            "feature",
            "feature request",
            "add support",
            "support for",
            "would be nice",
            "would be great",
            "please add",
            "proposal",
            "allow",
        ],
    ),
    (Category::Chore, &["bump", "upgrade dependency", "refactor", "clean up", "cleanup", "ci"]),
];

/// What makes any bug a pressing one.
const PRESSING: &[&str] = &[
    "crash",
    "crashes",
    "panic",
    "panics",
    "segfault",
    "data loss",
    "production",
    "outage",
    "regression",
    "cannot start",
];

/// A bug report shorter than this says too little to reproduce anything.
const REPORT_CHARS_MIN: usize = 40;

pub(crate) fn judge(item: &Item) -> Triage {
    let title = words(&item.title);
    let body = words(item.body.as_deref().unwrap_or_default());
    let (category, reason) = category(item, &title, &body);
    let priority = priority(category, &title, &body);
    Triage { category, priority, labels: labels(item, category, priority), reason }
}

fn category(item: &Item, title: &str, body: &str) -> (Category, String) {
    for label in &item.labels {
        let plain = label.to_lowercase();
        let named = plain.rsplit([':', '/']).next().unwrap_or_default().trim().to_owned();
        if let Some((_, category)) = LABELS.iter().find(|(name, _)| *name == named) {
            return (*category, format!("it has the label `{label}`"));
        }
    }
    if let Some((prefix, category)) = prefix(&item.title) {
        return (category, format!("its title starts with `{prefix}:`"));
    }
    // The title is a summary that somebody has thought about, so each of its words counts for three.
    let score = |list: &[&str]| -> usize {
        list.iter().map(|word| 3 * usize::from(has(title, word)) + usize::from(has(body, word))).sum()
    };
    let mut best = (0, Category::Other, "");
    for (category, list) in WORDS {
        let points = score(list);
        if points > best.0 {
            let word = list.iter().find(|word| has(title, word)).or(list.iter().find(|word| has(body, word)));
            best = (points, *category, word.copied().unwrap_or_default());
        }
    }
    let (points, category, word) = best;
    if points > 0 {
        let place = if has(title, word) { "title" } else { "text" };
        return (category, format!("its {place} says `{word}`"));
    }
    if item.kind == Kind::Issue && item.title.trim_end().ends_with('?') {
        return (Category::Question, "its title is a question".to_owned());
    }
    (Category::Other, "no rule fits".to_owned())
}

/// `fix(parser)!: …` is a `fix`.
fn prefix(title: &str) -> Option<(&'static str, Category)> {
    let (start, _) = title.split_once(':')?;
    let name = start.split(['(', '!']).next().unwrap_or_default().trim().to_lowercase();
    PREFIXES.iter().find(|(prefix, _)| *prefix == name).copied()
}

fn priority(category: Category, title: &str, body: &str) -> Priority {
    match category {
        Category::Security => Priority::Urgent,
        Category::Bug if PRESSING.iter().any(|word| has(title, word) || has(body, word)) => Priority::High,
        Category::Bug | Category::Feature | Category::Other => Priority::Normal,
        Category::Docs | Category::Question | Category::Chore => Priority::Low,
    }
}

fn labels(item: &Item, category: Category, priority: Priority) -> Vec<String> {
    let name = match category {
        Category::Security => "security",
        Category::Bug => "bug",
        Category::Docs => "documentation",
        Category::Question => "question",
        Category::Feature => "enhancement",
        Category::Chore => "chore",
        Category::Other => "needs-triage",
    };
    let mut labels = vec![name];
    if matches!(priority, Priority::Urgent | Priority::High) {
        labels.push(if priority == Priority::Urgent { "priority: urgent" } else { "priority: high" });
    }
    let text = item.body.as_deref().unwrap_or_default();
    if item.kind == Kind::Issue && category == Category::Bug && text.trim().chars().count() < REPORT_CHARS_MIN {
        labels.push("needs-info");
    }
    if matches!(item.author_association.as_deref(), Some("FIRST_TIME_CONTRIBUTOR" | "FIRST_TIMER")) {
        labels.push("first-contribution");
    }
    let has_already = |name: &str| item.labels.iter().any(|label| label.eq_ignore_ascii_case(name));
    labels.into_iter().filter(|name| !has_already(name)).map(str::to_owned).collect()
}

/// A text as words between single spaces, so that a phrase is found whole: `bug` is not in `debug`.
fn words(text: &str) -> String {
    let kept = |letter: char| if letter.is_alphanumeric() || letter == '\'' { letter } else { ' ' };
    let plain: String = text.to_lowercase().replace('’', "'").chars().map(kept).collect();
    let mut words = String::from(" ");
    for word in plain.split_whitespace() {
        words.push_str(word);
        words.push(' ');
    }
    words
}

fn has(words: &str, phrase: &str) -> bool {
    words.match_indices(phrase).any(|(at, _)| words[..at].ends_with(' ') && words[at + phrase.len()..].starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(title: &str) -> Item {
        Item {
            kind: Kind::Issue,
            title: title.to_owned(),
            body: None,
            labels: Vec::new(),
            author: None,
            author_association: None,
        }
    }

    #[test]
    fn a_word_is_found_whole() {
        assert_eq!(judge(&item("Improve debug output")).category, Category::Other);
        assert_eq!(judge(&item("A bug.")).category, Category::Bug);
    }

    #[test]
    fn a_label_settles_it_and_is_not_added_again() {
        let triage = judge(&Item { labels: vec!["kind/Bug".into(), "bug".into()], ..item("Please add a README") });
        assert_eq!(triage.category, Category::Bug);
        assert_eq!(triage.labels, ["needs-info"]);
    }

    #[test]
    fn a_prefix_with_scope_and_mark_counts() {
        assert_eq!(judge(&item("feat(api)!: drop v1 because it crashes")).category, Category::Feature);
        assert_eq!(judge(&item("Note: it crashes")).category, Category::Bug);
    }

    #[test]
    fn the_title_outweighs_the_text() {
        let triage =
            judge(&Item { body: Some("There is an error, a bug even.".into()), ..item("Typo in the tutorial") });
        assert_eq!(triage.category, Category::Docs);
    }

    #[test]
    fn a_security_hole_is_urgent_whatever_else_is_said() {
        let triage = judge(&item("XSS vulnerability and a crash"));
        assert_eq!((triage.category, triage.priority), (Category::Security, Priority::Urgent));
        assert!(triage.labels.contains(&"priority: urgent".to_owned()));
    }

    #[test]
    fn what_no_rule_knows_is_for_people() {
        let triage = judge(&item("Hello"));
        assert_eq!((triage.category, triage.reason.as_str()), (Category::Other, "no rule fits"));
        assert_eq!(triage.labels, ["needs-triage"]);
    }

    #[test]
    fn only_an_issue_is_a_question_by_its_mark() {
        assert_eq!(judge(&item("Which colour?")).category, Category::Question);
        assert_eq!(judge(&Item { kind: Kind::PullRequest, ..item("Which colour?") }).category, Category::Other);
    }
}
