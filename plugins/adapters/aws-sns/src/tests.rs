//! Messages of Amazon SNS, whole and broken. They are signed here with a key that signs nothing else (`keys/`).

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camshaft_sdk::adapter::made_schema;
use camshaft_sdk::testing::{self, Answer, Host};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::DecodePrivateKey;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const NOW_MS: u64 = 1_767_225_600_000;
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:orders";
const CERTIFICATE_URL: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem";
const CERTIFICATE: &[u8] = include_bytes!("../keys/certificate.pem");
const LINK: &str = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t-1";

static KEY: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::from_pkcs8_pem(include_str!("../keys/signing-key.pem")).unwrap());

fn notification() -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Subject": "An order",
        "Message": "{\"order\":4711}",
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    })
}

fn confirmation(kind: &str) -> Value {
    json!({
        "Type": kind,
        "MessageId": "m-2",
        "Token": "t-1",
        "TopicArn": TOPIC,
        "Message": "You have chosen to subscribe.",
        "SubscribeURL": LINK,
        "Timestamp": "2026-01-01T00:00:00.000Z",
        "SignatureVersion": "1",
        "SigningCertURL": CERTIFICATE_URL,
    })
}

/// The text that AWS's page says is signed.
fn signed_text(message: &Value) -> String {
    let of_notification = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
    let of_confirmation = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];
    let fields: &[&str] = if message["Type"] == "Notification" { &of_notification } else { &of_confirmation };
    let there = fields.iter().filter_map(|name| Some((name, message.get(name)?.as_str()?)));
    there.map(|(name, value)| format!("{name}\n{value}\n")).collect()
}

/// The message as AWS would sign it.
fn sign(mut message: Value) -> Value {
    let text = signed_text(&message);
    let signature = match message["SignatureVersion"].as_str() {
        Some("1") => KEY.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(&text)),
        _ => KEY.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(&text)),
    };
    message["Signature"] = json!(STANDARD.encode(signature.unwrap()));
    message
}

fn with(mut message: Value, name: &str, value: impl Into<Value>) -> Value {
    message[name] = value.into();
    message
}

fn deliver(body: impl Into<Vec<u8>>) -> Request {
    testing::delivery(&[("x-amz-sns-message-type", "Notification")], body, NOW_MS)
}

fn config() -> Value {
    json!({ "topics": ["arn:aws:sns:eu-west-1:123456789012:other", TOPIC] })
}

/// What the adapter makes of a delivery, and whom it has called, where AWS answers the certificate and the confirmation.
fn receive_at(request: &Request, config: Value, certificate: Answer) -> (Result<Receipt, Rejection>, Vec<String>) {
    let host = Host::new().answer("GET", CERTIFICATE_URL, certificate);
    let host = host.answer("GET", LINK, Answer::text(200, "<ConfirmSubscriptionResponse/>"));
    let result = host.run(|| testing::receive::<AwsSns>(request, config, &[]));
    (result, host.requests().into_iter().map(|request| request.url).collect())
}

fn receive(message: &Value) -> (Result<Receipt, Rejection>, Vec<String>) {
    receive_at(&deliver(message.to_string()), config(), Answer::bytes(200, CERTIFICATE))
}

/// Held to be refused as not proven, with nobody called but for the certificate.
#[track_caller]
fn unauthorized(message: &Value, calls: usize) {
    let (result, called) = receive(message);
    assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{message}: {result:?}");
    assert_eq!(called.len(), calls, "{message}: {called:?}");
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<AwsSns>("cases");
}

#[test]
fn what_the_validator_of_aws_takes_is_taken() {
    testing::adapter_table::<AwsSns>(testing::VENDORS);
}

#[test]
fn the_schema_that_is_written_out_is_what_would_be_made_of_the_type() {
    assert_eq!(AwsSns::config_schema(), made_schema::<Config>());
}

#[test]
fn samples_are_the_bodies_of_events() {
    for (kind, _, sample) in EVENTS {
        let sample: Value = serde_json::from_str(sample).unwrap();
        let mut message = sample.clone();
        if let Value::Object(_) = message["Message"] {
            message["Message"] = json!(message["Message"].to_string());
        }
        let message = with(with(message, "SignatureVersion", "2"), "SigningCertURL", CERTIFICATE_URL);
        let message = if *kind == "Notification" { message } else { with(message, "Token", "t-1") };
        let config = with(config(), "confirm", false);
        let request = deliver(sign(message).to_string());
        let (result, _) = receive_at(&request, config, Answer::bytes(200, CERTIFICATE));
        let events = result.unwrap().events;
        assert_eq!((&events[0].kind, events[0].body.as_ref()), (&(*kind).to_owned(), Some(&sample)));
    }
}

#[test]
fn a_notification_is_taken_in_both_versions_with_and_without_a_subject() {
    for version in ["1", "2"] {
        let (result, called) = receive(&sign(with(notification(), "SignatureVersion", version)));
        let expected = Event {
            id: Some("m-1".into()),
            source: Some(TOPIC.into()),
            subject: Some("An order".into()),
            time_ms: Some(NOW_MS),
            body: Some(json!({
                "Type": "Notification",
                "MessageId": "m-1",
                "TopicArn": TOPIC,
                "Subject": "An order",
                "Message": { "order": 4711 },
                "Timestamp": "2026-01-01T00:00:00.000Z",
            })),
            ..Event::new("Notification")
        };
        assert_eq!(result.unwrap().events, [expected], "{version}");
        assert_eq!(called, [CERTIFICATE_URL]);
    }
    let mut without = notification();
    without.as_object_mut().unwrap().remove("Subject");
    let (result, _) = receive(&sign(without.clone()));
    assert_eq!(result.unwrap().events[0].subject, None);
    // A subject that was not signed, and one that was taken away.
    unauthorized(&with(sign(without.clone()), "Subject", "An order"), 1);
    let mut away = sign(notification());
    away.as_object_mut().unwrap().remove("Subject");
    unauthorized(&away, 1);
}

#[test]
fn a_published_object_or_list_is_read_and_any_other_text_stays_as_it_is() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for (text, expected) in [
        ("plain", json!("plain")),
        ("", json!("")),
        ("7", json!("7")),
        ("\"a\"", json!("\"a\"")),
        ("{\"a\":1} x", json!("{\"a\":1} x")),
        ("[1]", json!([1])),
        ("Grüße\n🙂", json!("Grüße\n🙂")),
        (&deep(65), json!(deep(65))),
        (&deep(200), json!(deep(200))),
    ] {
        let (result, _) = receive(&sign(with(notification(), "Message", text)));
        assert_eq!(result.unwrap().events[0].body.as_ref().unwrap()["Message"], expected, "{text}");
    }
}

#[test]
fn a_subscription_is_confirmed_once_it_is_known_to_be_of_the_topic() {
    let (result, called) = receive(&sign(confirmation("SubscriptionConfirmation")));
    let receipt = result.unwrap();
    assert_eq!(receipt.events, []);
    assert_eq!(receipt.respond, Some(Response::json(200, &json!({ "status": "confirmed", "topic": TOPIC }))));
    assert_eq!(called, [CERTIFICATE_URL, LINK]);

    // Not here: the workflow decides.
    let request = deliver(sign(confirmation("SubscriptionConfirmation")).to_string());
    let asked = with(config(), "confirm", false);
    let (result, called) = receive_at(&request, asked, Answer::bytes(200, CERTIFICATE));
    let event = &result.unwrap().events[0];
    assert_eq!(
        (event.kind.as_str(), &event.body.as_ref().unwrap()["SubscribeURL"]),
        ("SubscriptionConfirmation", &json!(LINK))
    );
    assert_eq!(called, [CERTIFICATE_URL]);

    let (result, called) = receive(&sign(confirmation("UnsubscribeConfirmation")));
    assert_eq!((result.unwrap().events[0].kind.as_str(), called.len()), ("UnsubscribeConfirmation", 1));
}

#[test]
fn a_confirmation_leads_to_sns_or_nowhere() {
    for link in [
        "http://sns.eu-west-1.amazonaws.com/",
        "https://sns.eu-west-1.amazonaws.com.evil.com/",
        "https://169.254.169.254/",
    ] {
        // Signed: whoever could make this has AWS's key, and still reaches nobody else.
        unauthorized(&sign(with(confirmation("SubscriptionConfirmation"), "SubscribeURL", link)), 1);
    }
    let message = sign(confirmation("SubscriptionConfirmation"));
    let host = Host::new().answer("GET", CERTIFICATE_URL, Answer::bytes(200, CERTIFICATE));
    let host = host.answer("GET", LINK, Answer::text(302, "").header("location", "https://evil.com/"));
    let result = host.run(|| testing::receive::<AwsSns>(&deliver(message.to_string()), config(), &[]));
    assert_eq!(result, Err(Rejection::Unavailable("Amazon SNS answers 302 to the confirmation".into())));
    assert_eq!(host.requests().len(), 2, "a redirect is not followed");
}

#[test]
fn a_change_of_anything_that_is_signed_is_noticed() {
    for message in [notification(), confirmation("SubscriptionConfirmation"), confirmation("UnsubscribeConfirmation")] {
        let message = sign(message);
        for name in ["Message", "MessageId", "Subject", "SubscribeURL", "Token"] {
            let Some(value) = message[name].as_str() else { continue };
            unauthorized(&with(message.clone(), name, format!("{value}x")), 1);
        }
        unauthorized(&with(message.clone(), "Timestamp", "2026-01-01T00:00:01.000Z"), 1);
        unauthorized(&with(message.clone(), "TopicArn", config()["topics"][0].clone()), 1);
        let other = if message["SignatureVersion"] == "1" { "2" } else { "1" };
        unauthorized(&with(message.clone(), "SignatureVersion", other), 1);
        let mut signature = STANDARD.decode(message["Signature"].as_str().unwrap()).unwrap();
        signature[100] ^= 1;
        unauthorized(&with(message.clone(), "Signature", STANDARD.encode(&signature)), 1);
        for signature in [&b""[..], b"x", &signature[1..], &[0; 256], &[255; 256], &[1; 512]] {
            unauthorized(&with(message.clone(), "Signature", STANDARD.encode(signature)), 1);
        }
        for signature in ["=", "not base64", &"A".repeat(100_000)] {
            unauthorized(&with(message.clone(), "Signature", signature), 0);
        }
    }
    let ended = sign(confirmation("UnsubscribeConfirmation"));
    unauthorized(&with(ended, "Type", "SubscriptionConfirmation"), 1);
}

#[test]
fn what_is_published_is_never_read_as_fields() {
    // Signed as one text, and shown as if its end were the message's id.
    let genuine = sign(with(notification(), "Message", "hello\nMessageId\nm-0"));
    let forged = with(with(genuine, "Message", "hello"), "MessageId", "m-0\nMessageId\nm-1");
    assert_eq!(signed_text(&forged), signed_text(&with(notification(), "Message", "hello\nMessageId\nm-0")));
    let (result, called) = receive(&forged);
    assert_eq!(result, Err(Rejection::Malformed("`MessageId` is not of one line".into())));
    assert_eq!(called.len(), 0);
}

#[test]
fn nobody_is_called_for_a_topic_or_a_time_that_is_not_right() {
    let theirs = sign(with(notification(), "TopicArn", "arn:aws:sns:eu-west-1:999999999999:orders"));
    unauthorized(&theirs, 0);
    assert!(receive(&theirs).0.unwrap_err().message().contains("999999999999"));

    let message = sign(notification()).to_string();
    let hour = 3_600_000;
    for (received_at_ms, taken) in [
        (NOW_MS + hour, true),
        (NOW_MS - hour, true),
        (NOW_MS + hour + 1, false),
        (NOW_MS - hour - 1, false),
        (0, false),
        (u64::MAX, false),
    ] {
        let request = Request { received_at_ms, ..deliver(message.clone()) };
        let (result, called) = receive_at(&request, config(), Answer::bytes(200, CERTIFICATE));
        assert_eq!((result.is_ok(), called.len()), (taken, usize::from(taken)), "{received_at_ms}: {result:?}");
    }
    let short = with(config(), "tolerance", 60);
    let request = Request { received_at_ms: NOW_MS + 61_000, ..deliver(message) };
    let (result, _) = receive_at(&request, short, Answer::bytes(200, CERTIFICATE));
    assert_eq!(result.unwrap_err().message(), "the timestamp is 61 s old; 60 s are allowed");
}

#[test]
fn a_certificate_is_fetched_from_sns_alone() {
    for url in [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.com/a.pem",
        "https://sns..amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://evil.com/a.pem",
        "https://evil.com/?https://sns.eu-west-1.amazonaws.com/a.pem",
        "https://s3.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.pem?b",
        "https://sns.eu-west-1.amazonaws.com/?Action=x&b=.pem",
        "https://sns.eu-west-1.amazonaws.com/a#.pem",
        "https://sns.eu-west-1.amazonaws.com/a.crt",
        "https://sns.eu-west-1.amazonaws.com/",
        "file:///etc/a.pem",
        "",
    ] {
        unauthorized(&with(sign(notification()), "SigningCertURL", url), 0);
    }
}

#[test]
fn only_a_valid_certificate_with_the_right_key_will_do() {
    for (certificate, why) in [
        (&include_bytes!("../keys/other.pem")[..], "does not match"),
        (include_bytes!("../keys/expired.pem"), "valid from 2024-01-01T00:00:00Z to 2025-01-01T00:00:00Z only"),
        (include_bytes!("../keys/not-yet.pem"), "valid from 2026-06-01T00:00:00Z"),
        (include_bytes!("../keys/elliptic.pem"), "no RSA key"),
        (include_bytes!("../keys/weak.pem"), "no RSA key of 2048"),
        (include_bytes!("../keys/signing-key.pem"), "cannot be read"),
        (b"", "cannot be read"),
    ] {
        let request = deliver(sign(notification()).to_string());
        let (result, _) = receive_at(&request, config(), Answer::bytes(200, certificate));
        let Err(Rejection::Unauthorized(message)) = &result else { panic!("{why}: {result:?}") };
        assert!(message.contains(why), "{why}: {message}");
    }
}

#[test]
fn what_cannot_be_fetched_now_may_be_later() {
    let request = deliver(sign(notification()).to_string());
    let (result, _) = receive_at(&request, config(), Answer::text(403, "AccessDenied"));
    assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{result:?}");
    let denied = http::HttpError::Denied("https://sns.eu-west-1.amazonaws.com is not granted to this plugin".into());
    for answer in
        [Answer::text(500, ""), Answer::text(301, "").header("location", "https://evil.com/"), Answer::error(denied)]
    {
        let (result, called) = receive_at(&request, config(), answer);
        assert!(matches!(result, Err(Rejection::Unavailable(_))), "{result:?}");
        assert_eq!(called.len(), 1);
    }
}

#[test]
fn what_sns_does_not_send_is_told_what_it_is() {
    let said = |body: String| receive_at(&deliver(body), config(), Answer::bytes(200, CERTIFICATE)).0.unwrap_err();
    let body = sign(notification());
    for name in
        ["Type", "MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"]
    {
        let mut less = body.clone();
        less.as_object_mut().unwrap().remove(name);
        let rejection = said(less.to_string());
        let named = matches!(&rejection, Rejection::Malformed(why) if why.contains(&format!("`{name}`")));
        assert!(named, "{name}: {rejection:?}");
        // Which of the two was signed?
        let value = &body[name];
        let twice = body.to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1);
        let rejection = said(twice);
        assert!(
            matches!(&rejection, Rejection::Malformed(why) if why.contains("comes more than once")),
            "{rejection:?}"
        );
    }
    for name in ["SubscribeURL", "Token"] {
        let mut less = sign(confirmation("SubscriptionConfirmation"));
        less.as_object_mut().unwrap().remove(name);
        assert_eq!(said(less.to_string()), Rejection::missing(name));
    }
    for (message, why) in [
        (with(body.clone(), "SignatureVersion", "3"), "`SignatureVersion` is `3`; 1 and 2 are known"),
        (with(body.clone(), "Type", "Advertisement"), "messages of the type `Advertisement` are not known"),
    ] {
        assert_eq!(said(message.to_string()), Rejection::Unsupported(why.into()));
    }
    assert!(matches!(said(with(body.clone(), "Timestamp", "today").to_string()), Rejection::Malformed(_)));
    let nested = json!({ "a": { "Type": "String", "Value": ["x"] } });
    assert!(matches!(said(with(body.clone(), "MessageAttributes", nested).to_string()), Rejection::Malformed(_)));
    for bad in ["", "[]", "null", "{", "hello"] {
        assert!(matches!(said(bad.to_owned()), Rejection::Malformed(_)), "{bad}");
    }

    let raw = testing::delivery(&[("x-amz-sns-rawdelivery", "true")], "hello", NOW_MS);
    let (result, called) = receive_at(&raw, config(), Answer::bytes(200, CERTIFICATE));
    assert!(result.unwrap_err().message().contains("raw message delivery is not signed"));
    assert_eq!(called.len(), 0);
    for method in ["GET", "PUT", "post"] {
        let request = Request { method: method.into(), ..deliver(body.to_string()) };
        let result = receive_at(&request, config(), Answer::bytes(200, CERTIFICATE)).0;
        assert!(matches!(result, Err(Rejection::Unsupported(_))), "{method}: {result:?}");
    }
}

#[test]
fn attributes_are_handed_on_as_they_are_since_nobody_signs_them() {
    let attributes = json!({ "shop": { "Type": "String", "Value": "north" } });
    let (result, _) = receive(&with(sign(notification()), "MessageAttributes", attributes.clone()));
    assert_eq!(result.unwrap().events[0].body.as_ref().unwrap()["MessageAttributes"], attributes);
    // What does not belong to a notification is no part of its event.
    let (result, _) = receive(&with(sign(notification()), "SubscribeURL", "https://evil.com/"));
    assert_eq!(result.unwrap().events[0].body.as_ref().unwrap().get("SubscribeURL"), None);
}
