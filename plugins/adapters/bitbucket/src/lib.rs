//! The adapter `bitbucket`: webhooks of Bitbucket Cloud and Bitbucket Data Center.
//!
//! Source: <https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/>.

use camshaft_sdk::adapter::NoConfig;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Signed;

const SIGNED: Signed = Signed::sha256("X-Hub-Signature").prefix("sha256=");
const EVENTS: &[(&str, &str, &str)] = &[
    ("repo:push", "commits were pushed", include_str!("../samples/push.json")),
    ("pullrequest:created", "a pull request was opened", include_str!("../samples/pullrequest-created.json")),
    ("pullrequest:fulfilled", "a pull request was merged", include_str!("../samples/pullrequest-fulfilled.json")),
];

/// Bitbucket's webhooks.
pub struct Bitbucket;

#[adapter]
impl Adapter for Bitbucket {
    fn describe() -> Description {
        Description::new("Bitbucket", "Takes webhooks of Bitbucket Cloud and Bitbucket Data Center.")
            .docs("https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/")
            .signing_secret("The webhook's Secret: Repository settings, Webhooks.")
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        SIGNED.verify(request, integration, &[&request.body])?;
        let kind = request.word("X-Event-Key")?;
        if kind == "diagnostics:ping" {
            return Ok(Response::json(200, &json!({ "status": "ok" })).into());
        }
        // Cloud and Data Center name the delivery differently.
        let id = request.header("X-Request-UUID")?.or(request.header("X-Request-Id")?).map(str::to_owned);
        let [source, subject, number] =
            request.texts(["repository.links.html.href", "pullrequest.id", "pullRequest.id"])?;
        Ok(Event { id, source, subject: subject.or(number), ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let delivery = sample.delivery(&[("X-Event-Key", &sample.kind), ("X-Request-UUID", &sample.id)]);
        SIGNED.sign(delivery, integration, &[&sample.body])
    }
}

#[cfg(test)]
mod tests;
