//! The adapter `standard-webhooks`: every vendor that follows the specification, and Svix.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;

/// The type of an event whose body names none; the specification only recommends one.
const TYPE_DEFAULT: &str = "event";

/// Webhooks after the Standard Webhooks specification.
pub struct StandardWebhooks;

#[adapter]
impl Adapter for StandardWebhooks {
    fn describe() -> Description {
        Description::new(
            "Standard Webhooks",
            "Takes webhooks after the Standard Webhooks specification, and those of Svix.",
        )
        .docs("https://www.standardwebhooks.com")
        .signing_secret(
            "The vendor's signing secret, `whsec_…`, or its public key, `whpk_…`; both while you change it.",
        )
        .events(&[(
            "contact.created",
            "whatever the vendor calls `type` in the body",
            include_str!("../samples/contact.created.json"),
        )])
    }

    fn config_schema() -> Value {
        adapter::written_schema(include_str!("../config.schema.json"))
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let id = verify::standard(request, integration)?;
        let [kind] = request.texts(["type"])?;
        Ok(Event { id: Some(id.to_owned()), ..Event::new(kind.unwrap_or_else(|| TYPE_DEFAULT.to_owned())) }.into())
    }

    fn sign(sample: Sample, integration: &Integration<NoConfig>) -> Result<Request, Rejection> {
        verify::standard_signed(&sample, integration)
    }
}

#[cfg(test)]
mod tests;
