//! The adapter `generic`: webhooks of anybody, verified as the integration's configuration says.
//!
//! An empty configuration verifies nothing. That is said in the description, in the README, and in a warning on every delivery.

mod config;
mod place;
mod sample;
mod signature;

use camshaft_sdk::adapter;
use camshaft_sdk::prelude::*;
use config::{Auth, Config};

/// The type of an event where the configuration says nothing of it.
const TYPE_DEFAULT: &str = "webhook";

/// Webhooks of anybody.
pub struct Generic;

#[adapter]
impl Adapter for Generic {
    type Config = Config;

    fn describe() -> Description {
        Description::new(
            "Generic",
            "Takes webhooks of anybody, verified as you configure it. WITH AN EMPTY CONFIGURATION IT TAKES EVERYTHING, UNVERIFIED.",
        )
        .secret(Secret::optional("signing_secret", "With `signature`: the key that deliveries are signed with, or the public key."))
        .secret(Secret::optional("header_value", "With `auth: {header: NAME}`: the value that this header has to have."))
        .secret(Secret::optional("basic_credentials", "With `auth: {basic: true}`: `user:password`."))
        .docs("https://github.com/camshaft/camshaft/blob/main/plugins/adapters/generic/README.md")
        .events(&[(TYPE_DEFAULT, "every delivery, unless `type` says where the type is", r#"{"any":"thing"}"#)])
    }

    fn config_schema() -> Value {
        adapter::written_schema(include_str!("../config.schema.json"))
    }

    fn receive(request: &Request, integration: &Integration<Config>) -> Result<Receipt, Rejection> {
        let config = &integration.config;
        if config.auth.is_none() && config.signature.is_none() {
            log::warn!({ "integration": integration.name }, "this delivery is not verified: the integration has neither `auth` nor `signature`");
        }
        match &config.auth {
            None => {}
            Some(Auth::Header(name)) => {
                let accepted = integration.required_secret("header_value")?;
                verify::token(verify::header(request, name)?, &accepted)?;
            }
            Some(Auth::Basic(config::True)) => {
                let accepted = integration.required_secret("basic_credentials")?;
                let (user, password) = verify::basic(request)?;
                verify::token(&format!("{user}:{password}"), &accepted)?;
            }
        }
        if let Some(scheme) = &config.signature {
            scheme.verify(request, &integration.required_secret("signing_secret")?)?;
        }
        let kind = match &config.kind {
            Some(place) => place.text(request)?.ok_or_else(|| place.missing("type"))?,
            None => TYPE_DEFAULT.to_owned(),
        };
        let read = |place: &Option<place::Place>| place.as_ref().map_or(Ok(None), |place| place.text(request));
        let (id, subject) = (read(&config.id)?, read(&config.subject)?);
        Ok(Event { id, kind, subject, ..Event::default() }.into())
    }

    fn sign(sample: Sample, integration: &Integration<Config>) -> Result<Request, Rejection> {
        sample::sign(sample, integration)
    }
}

#[cfg(test)]
mod tests;
