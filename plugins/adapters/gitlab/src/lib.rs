//! The adapter `gitlab`: GitLab's webhooks, signed after Standard Webhooks or with GitLab's older plain token.
//!
//! Source: <https://docs.gitlab.com/user/project/integrations/webhooks/>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;

const EVENTS: &[(&str, &str, &str)] = &[
    ("Push Hook", "commits were pushed", include_str!("../samples/push.json")),
    (
        "Merge Request Hook",
        "a merge request was opened, changed or merged",
        include_str!("../samples/merge_request.json"),
    ),
    ("Pipeline Hook", "a pipeline changed its status", include_str!("../samples/pipeline.json")),
];

/// GitLab's webhooks.
pub struct GitLab;

#[adapter]
impl Adapter for GitLab {
    fn describe() -> Description {
        Description::new("GitLab", "Takes GitLab's webhooks, of projects, groups and whole instances.")
            .docs("https://docs.gitlab.com/user/project/integrations/webhooks/")
            .signing_secret(
                "The webhook's signing token, `whsec_…`, or its older secret token; both while you change it.",
            )
            .events(EVENTS)
    }

    fn config_schema() -> Value {
        adapter::written_schema(include_str!("../config.schema.json"))
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let signed = match request.header("webhook-signature")? {
            Some(_) => Some(verify::standard(request, integration)?),
            None => {
                verify::header_is(request, "X-Gitlab-Token", integration, Secret::SIGNING)?;
                None
            }
        };
        let kind = request.word("X-Gitlab-Event")?;
        // Hooks that a hook has set off share the event's UUID; the key is of this one delivery and its repetitions.
        let id = match (signed, request.header("Idempotency-Key")?) {
            (Some(id), _) | (None, Some(id)) => Some(id),
            (None, None) => request.header("X-Gitlab-Event-UUID")?,
        };
        let [source, number, reference] = request.texts(["project.web_url", "object_attributes.iid", "ref"])?;
        Ok(Event { id: id.map(str::to_owned), source, subject: number.or(reference), ..Event::new(kind) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        let signing = integration.first_secret(Secret::SIGNING)?.starts_with("whsec_");
        let delivery = if signing {
            verify::standard_signed(&sample, integration)?
        } else {
            let token = integration.first_secret(Secret::SIGNING)?;
            sample.delivery(&[("X-Gitlab-Token", token), ("X-Gitlab-Event-UUID", &sample.id)])
        };
        Ok(delivery.with_header("X-Gitlab-Event", &sample.kind))
    }
}

#[cfg(test)]
mod tests;
