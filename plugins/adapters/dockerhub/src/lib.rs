//! The adapter `dockerhub`: Docker Hub's webhooks, whose URL carries a token: Docker Hub neither signs nor sends headers.
//!
//! Source: <https://docs.docker.com/docker-hub/repos/manage/webhooks/>.

use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{SharedToken, Unit};

const EVENTS: &[(&str, &str, &str)] =
    &[("push", "a tag was pushed; the subject is the image", include_str!("../samples/push.json"))];

/// Docker Hub's webhooks.
pub struct DockerHub;

#[adapter]
impl Adapter for DockerHub {
    type Config = SharedToken;

    fn describe() -> Description {
        Description::new("Docker Hub", "Takes webhooks of pushed images, whose URL carries a token that you make up.")
            .docs("https://docs.docker.com/docker-hub/repos/manage/webhooks/")
            .secret(SharedToken::secret())
            .events(EVENTS)
    }

    fn receive(request: &Request, integration: &Integration<SharedToken>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        integration.config.verify(request, integration)?;
        let [name, source, tag, pushed] =
            request.texts(["repository.repo_name", "repository.repo_url", "push_data.tag", "push_data.pushed_at"])?;
        let name = name.ok_or_else(|| Rejection::missing("repository.repo_name"))?;
        let subject = tag.map_or_else(|| name.clone(), |tag| format!("{name}:{tag}"));
        let time_ms = pushed.and_then(|time| Unit::Seconds.ms(&time));
        Ok(Event { source, subject: Some(subject), time_ms, ..Event::new("push") }.into())
    }

    fn sign(sample: Sample, integration: &Integration<SharedToken>) -> Result<Request, Rejection> {
        integration.config.sign(sample.delivery(&[]), integration)
    }
}

#[cfg(test)]
mod tests;
