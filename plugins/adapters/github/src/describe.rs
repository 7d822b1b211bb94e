//! What the adapter says of itself: the events that people subscribe to most, with short samples.

use camshaft_sdk::prelude::*;

const EVENTS: &[(&str, &str, &str)] = &[
    (
        "push",
        "commits or a tag were pushed",
        r#"{"ref":"refs/heads/main","after":"6dcb09b","commits":[{"id":"6dcb09b","message":"Fix the parser"}],"repository":{"full_name":"octo-org/octo-repo","html_url":"https://github.com/octo-org/octo-repo"},"pusher":{"name":"octocat"}}"#,
    ),
    (
        "issues.opened",
        "an issue was opened",
        r#"{"action":"opened","issue":{"number":1347,"title":"Found a bug","body":"I'm having a problem with this.","labels":[{"name":"bug"}],"user":{"login":"octocat"},"author_association":"MEMBER"},"repository":{"full_name":"octo-org/octo-repo","html_url":"https://github.com/octo-org/octo-repo"},"sender":{"login":"octocat"}}"#,
    ),
    ("issues.closed", "an issue was closed", r#"{"action":"closed","issue":{"number":1347,"state":"closed"}}"#),
    (
        "issues.labeled",
        "an issue got a label",
        r#"{"action":"labeled","issue":{"number":1347},"label":{"name":"bug"}}"#,
    ),
    (
        "issue_comment.created",
        "somebody commented on an issue or pull request",
        r#"{"action":"created","issue":{"number":1347},"comment":{"body":"Me too","user":{"login":"octocat"}}}"#,
    ),
    (
        "pull_request.opened",
        "a pull request was opened",
        r#"{"action":"opened","number":42,"pull_request":{"number":42,"title":"fix: mend the parser","body":null,"draft":false,"labels":[],"user":{"login":"octocat"},"author_association":"CONTRIBUTOR"},"repository":{"full_name":"octo-org/octo-repo","html_url":"https://github.com/octo-org/octo-repo"}}"#,
    ),
    (
        "pull_request.closed",
        "a pull request was closed; `merged` says how",
        r#"{"action":"closed","number":42,"pull_request":{"number":42,"merged":true}}"#,
    ),
    (
        "pull_request_review.submitted",
        "a pull request was reviewed",
        r#"{"action":"submitted","pull_request":{"number":42},"review":{"state":"approved"}}"#,
    ),
    ("release.published", "a release was published", r#"{"action":"published","release":{"tag_name":"v1.0.0"}}"#),
    (
        "workflow_run.completed",
        "a workflow of GitHub Actions ended",
        r#"{"action":"completed","workflow_run":{"name":"CI","conclusion":"success"}}"#,
    ),
];

pub(crate) fn description() -> Description {
    Description::new("GitHub", "Takes GitHub's webhooks, verified by their signature.")
        .docs("https://docs.github.com/en/webhooks")
        .signing_secret("The secret that you typed into the webhook's settings, field Secret.")
        .events(EVENTS)
}
