//! The adapter `aws-sns`: messages of Amazon SNS, which are signed with a certificate that is fetched from AWS.
//!
//! Source: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>. The order is the security of it: whose
//! topic it is and when it was sent come first, then where the certificate is said to be, and only then is anybody called.

mod aws;
mod certificate;
mod message;

use camshaft_sdk::adapter;
use camshaft_sdk::prelude::*;
use message::{Kind, Message};
use serde::de::{Deserializer, Error};
use std::time::Duration;

const RAW: &str = "x-amz-sns-rawdelivery";
const EVENTS: &[(&str, &str, &str)] = &[
    ("Notification", "a message was published to the topic", include_str!("../samples/Notification.json")),
    (
        "SubscriptionConfirmation",
        "a subscription waits for its confirmation; comes where `confirm` is false",
        include_str!("../samples/SubscriptionConfirmation.json"),
    ),
    (
        "UnsubscribeConfirmation",
        "the subscription was ended; its `SubscribeURL` takes that back",
        include_str!("../samples/UnsubscribeConfirmation.json"),
    ),
];

/// Which messages are taken.
#[derive(Debug, Clone, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// ARNs of the topics that messages are taken of. AWS signs those of everybody's topics alike.
    #[schemars(
        length(min = 1, max = 100),
        inner(regex(pattern = "^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]+:[A-Za-z0-9_-]+$"))
    )]
    pub topics: Vec<String>,
    /// Seconds that the time of sending may be from the time of receipt, before or after.
    #[serde(default = "an_hour")]
    pub tolerance: u64,
    /// Whether subscriptions to these topics are confirmed here, as soon as AWS asks.
    #[serde(default = "yes")]
    pub confirm: bool,
}

/// By hand: what a derived one says of values of other types is 25 KB. The schema has been held against them before.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = Value::deserialize(deserializer)?;
        let mut of = |name: &str| config.get_mut(name).map(Value::take);
        let wrong = |name: &str| D::Error::custom(format_args!("`{name}` is not what it has to be"));
        let text = |topic: Value| topic.as_str().map(str::to_owned);
        let Some(Value::Array(topics)) = of("topics") else { return Err(wrong("topics")) };
        let topics = topics.into_iter().map(text).collect::<Option<_>>().ok_or_else(|| wrong("topics"))?;
        let tolerance = of("tolerance").map_or(Some(an_hour()), |seconds| seconds.as_u64());
        let confirm = of("confirm").map_or(Some(yes()), |confirm| confirm.as_bool());
        Ok(Self {
            topics,
            tolerance: tolerance.ok_or_else(|| wrong("tolerance"))?,
            confirm: confirm.ok_or_else(|| wrong("confirm"))?,
        })
    }
}

fn an_hour() -> u64 {
    3600
}

fn yes() -> bool {
    true
}

/// Messages of Amazon SNS.
pub struct AwsSns;

#[adapter]
impl Adapter for AwsSns {
    type Config = Config;

    fn describe() -> Description {
        let [commercial, china] = aws::HOSTS;
        Description::new("Amazon SNS", "Takes messages of Amazon SNS topics, and confirms subscriptions to them.")
            .docs("https://docs.aws.amazon.com/sns/latest/dg/sns-http-https-endpoint-as-subscriber.html")
            .host(commercial)
            .host(china)
            .events(EVENTS)
    }

    fn config_schema() -> Value {
        adapter::written_schema(include_str!("../config.schema.json"))
    }

    fn receive(request: &Request, integration: &Integration<Config>) -> Result<Receipt, Rejection> {
        request.only("POST")?;
        if request.header(RAW)?.is_some_and(|raw| raw.eq_ignore_ascii_case("true")) {
            let why =
                "raw message delivery is not signed, so nothing can be verified; turn it off for this subscription";
            return Err(Rejection::Unsupported(why.to_owned()));
        }
        let message = Message::read(request)?;
        let kind = message.check()?;
        let Config { topics, tolerance, confirm } = &integration.config;
        if !topics.contains(&message.topic) {
            let (topic, name) = (&message.topic, &integration.name);
            return Err(Rejection::Unauthorized(format!("`{topic}` is no topic of integration `{name}`")));
        }
        let sent_ms = message.sent_ms()?;
        verify::fresh(sent_ms, request.received_at_ms, Duration::from_secs(*tolerance))?;
        let proof = message.proof(kind)?;
        proof.verify(&certificate::fetch(&message.certificate, request.received_at_ms)?)?;

        if kind == Kind::SubscriptionConfirmation && *confirm {
            aws::confirm(message.subscribe.as_deref().unwrap_or_default())?;
            log::info!("the subscription to {} is confirmed", message.topic);
            return Ok(Response::json(200, &json!({ "status": "confirmed", "topic": message.topic })).into());
        }
        Ok(message.event(kind, sent_ms).into())
    }
}

#[cfg(test)]
mod tests;
