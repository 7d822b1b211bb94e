//! The adapter `jira`: Jira's webhooks.
//!
//! Source: <https://developer.atlassian.com/cloud/jira/platform/webhooks/>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{Signed, Unit};

const SIGNED: Signed = Signed::sha256("X-Hub-Signature").prefix("sha256=");
const EVENTS: &[(&str, &str, &str)] = &[
    ("jira:issue_created", "an issue was created", include_str!("../samples/issue_created.json")),
    ("jira:issue_updated", "an issue was changed; `changelog` says how", include_str!("../samples/issue_updated.json")),
    ("comment_created", "somebody commented", include_str!("../samples/comment_created.json")),
];

/// Jira's webhooks.
pub struct Jira;

#[adapter]
impl Adapter for Jira {
    fn describe() -> Description {
        Description::new("Jira", "Takes Jira's webhooks of issues, comments, versions and sprints.")
            .docs("https://developer.atlassian.com/cloud/jira/platform/webhooks/")
            .signing_secret("The webhook's Secret: Jira settings, System, WebHooks.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let [kind, subject, project, time] =
            request.texts(["webhookEvent", "issue.key", "issue.fields.project.key", "timestamp"])?;
        let kind = kind.ok_or_else(|| Rejection::missing("webhookEvent"))?;
        let id = request.header("X-Atlassian-Webhook-Identifier")?.map(str::to_owned);
        let time_ms = time.and_then(|time| Unit::Milliseconds.ms(&time));
        Ok(Event { id, source: project, subject, time_ms, ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let delivery = sample.delivery(&[("X-Atlassian-Webhook-Identifier", &sample.id)]);
        SIGNED.sign(delivery, integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
