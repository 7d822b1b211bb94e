//! The adapter `discord`: interactions and webhook events of a Discord app.
//!
//! Source: <https://docs.discord.com/developers/interactions/overview>.

use camshaft_sdk::adapter::{self, NoConfig};
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Encoding, PublicKey, Unit};
use std::time::Duration;

const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Types of interactions, from 2 on: 1 is a ping.
const INTERACTIONS: [&str; 4] =
    ["application_command", "message_component", "application_command_autocomplete", "modal_submit"];
const EVENTS: &[(&str, &str, &str)] = &[
    ("application_command", "somebody used a command of the app", include_str!("../samples/application_command.json")),
    (
        "message_component",
        "somebody pressed a button or chose from a list",
        include_str!("../samples/message_component.json"),
    ),
    (
        "APPLICATION_AUTHORIZED",
        "a webhook event: the app was added",
        include_str!("../samples/application_authorized.json"),
    ),
];

/// Discord's requests to an app.
pub struct Discord;

#[adapter]
impl Adapter for Discord {
    fn describe() -> Description {
        Description::new("Discord", "Takes interactions and webhook events of a Discord app.")
            .docs("https://docs.discord.com/developers/interactions/overview")
            .signing_secret("The app's Public Key: Developer Portal, General Information.")
            .events(EVENTS)
    }

    fn config_schema() -> Value {
        adapter::written_schema(include_str!("../config.schema.json"))
    }

    fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        let keys = integration.required_secret("signing_secret")?;
        let keys = keys.iter().map(|key| PublicKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
        let signature = verify::signature(verify::header(request, "X-Signature-Ed25519")?, "", Encoding::Hex)?;
        let time = verify::stamped(request, "X-Signature-Timestamp", Unit::Seconds, TOLERANCE)?;
        verify::ed25519(&keys, &[time.as_bytes(), &request.body].concat(), &signature)?;

        let [kind, inner] = request.texts(["type", "event.type"])?;
        match (kind.as_deref(), inner) {
            (Some("1"), Some(event)) => of_event(request, event),
            (Some("1"), None) => Ok(Response::json(200, &json!({ "type": 1 })).into()),
            (Some("0"), _) => Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() }.into()),
            (Some(number), _) => of_interaction(request, number),
            (None, _) => Err(Rejection::missing("type")),
        }
    }
}

fn of_interaction(request: &Request, number: &str) -> Result<Receipt, Rejection> {
    let known = number.parse::<usize>().ok().and_then(|number| INTERACTIONS.get(number.checked_sub(2)?));
    let kind = known.map_or_else(|| format!("interaction_{number}"), |name| (*name).to_owned());
    let [id, source, name, component] = request.texts(["id", "guild_id", "data.name", "data.custom_id"])?;
    Ok(Event { id, source, subject: name.or(component), ..Event::new(kind) }.into())
}

/// Webhook events have no id.
fn of_event(request: &Request, kind: String) -> Result<Receipt, Rejection> {
    let [source, subject, time] = request.texts(["event.data.guild.id", "event.data.user.id", "event.timestamp"])?;
    let time_ms = time.and_then(|time| adapter::rfc3339(&time));
    Ok(Event { source, subject, time_ms, ..Event::new(kind) }.into())
}

#[cfg(test)]
mod tests;
