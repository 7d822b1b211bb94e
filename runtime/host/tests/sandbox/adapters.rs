//! The shipped adapters as components: they take what a vendor signed, and refuse everything that is only near it.
//!
//! Signatures are the ones that vendors publish, or were made with OpenSSL.

use camshaft_model::limits::Budget;
use camshaft_model::seams::{AdapterEvent, Plugins, Receipt, Refusal, Sample, WebhookRequest};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};

use crate::world::{World, delivery, shipped};

/// An adapter, and a delivery that it takes.
struct Vendor {
    adapter: &'static str,
    config: Value,
    key: &'static str,
    /// Well formed, and not the one that signed.
    other_key: &'static str,
    delivery: WebhookRequest,
    event: AdapterEvent,
    /// The headers that prove the delivery.
    proofs: &'static [&'static str],
    /// How far the time of receipt may be from that of sending, which here are the same; none where no time is signed.
    fresh_ms: Option<u64>,
}

fn event(id: Option<&str>, kind: &str) -> AdapterEvent {
    let id = id.map(str::to_owned);
    AdapterEvent { id, kind: kind.to_owned(), source: None, subject: None, time: None, body: None }
}

/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
const GITHUB_KEY: &str = "It's a Secret to Everybody";

fn github(name: &str, signature: &str, body: &str) -> WebhookRequest {
    let signature = format!("sha256={signature}");
    let headers = [("X-Hub-Signature-256", signature.as_str()), ("X-GitHub-Event", name), ("X-GitHub-Delivery", "d-1")];
    delivery(&headers, body, 1_700_000_000_000)
}

fn github_push() -> Vendor {
    let body = r#"{"ref":"refs/heads/main","repository":{"html_url":"https://github.com/octo-org/octo-repo"}}"#;
    Vendor {
        adapter: "github",
        config: json!({}),
        key: GITHUB_KEY,
        other_key: "It's a Secret to Nobody",
        delivery: github("push", "33b031a2f041ce57715488cb4083d259f7bca809c33eed5bec4edff6f24ae3fb", body),
        event: AdapterEvent {
            source: Some("https://github.com/octo-org/octo-repo".to_owned()),
            subject: Some("refs/heads/main".to_owned()),
            ..event(Some("d-1"), "push")
        },
        proofs: &["X-Hub-Signature-256"],
        fresh_ms: None,
    }
}

/// The vector of the reference libraries: <https://github.com/standard-webhooks/standard-webhooks>.
fn standard_webhooks() -> Vendor {
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let headers = [
        ("webhook-id", id),
        ("webhook-timestamp", "1649367553"),
        ("webhook-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
    ];
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    Vendor {
        adapter: "standard-webhooks",
        config: json!({}),
        key: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        other_key: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        delivery: delivery(&headers, body, 1_649_367_553_000),
        event: event(Some(id), "event"),
        proofs: &["webhook-id", "webhook-timestamp", "webhook-signature"],
        fresh_ms: Some(300_000),
    }
}

/// Slack's vector, which `generic` is configured for: <https://docs.slack.dev/authentication/verifying-requests-from-slack>.
fn generic() -> Vendor {
    let headers = [
        ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ("X-Slack-Request-Timestamp", "1531420618"),
    ];
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=\
        https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    Vendor {
        adapter: "generic",
        config: json!({
            "signature": {
                "header": "X-Slack-Signature",
                "prefix": "v0=",
                "signed": "v0:{{timestamp}}:{{body}}",
                "timestamp_header": "X-Slack-Request-Timestamp",
                "tolerance": 60,
            },
            "type": {"value": "command"},
        }),
        key: "8f742231b10e8888abcd99yyyzzz85a5",
        other_key: "8f742231b10e8888abcd99yyyzzz85a6",
        delivery: delivery(&headers, body, 1_531_420_618_000),
        event: event(None, "command"),
        proofs: &["X-Slack-Signature", "X-Slack-Request-Timestamp"],
        fresh_ms: Some(60_000),
    }
}

fn vendors() -> [Vendor; 3] {
    [github_push(), standard_webhooks(), generic()]
}

impl Vendor {
    /// What the adapter makes of a delivery when the integration holds these keys.
    async fn receive(&self, world: &World, keys: &[&str], delivery: &WebhookRequest) -> Result<Receipt, Refusal> {
        let integration = world.integration(shipped(self.adapter), self.config.clone(), &[("signing_secret", keys)]);
        world.host.receive(&integration, delivery).await
    }

    async fn assert_taken(&self, world: &World, keys: &[&str], delivery: &WebhookRequest) {
        let receipt = self.receive(world, keys, delivery).await;
        let expected = Receipt { events: vec![self.event.clone()], respond: None };
        assert_eq!(receipt, Ok(expected), "{}", self.adapter);
    }

    async fn assert_unauthorized(&self, world: &World, keys: &[&str], delivery: &WebhookRequest) {
        match self.receive(world, keys, delivery).await {
            Err(Refusal::Unauthorized(message)) => {
                assert!(!message.is_empty(), "{}", self.adapter);
                assert!(!message.contains(self.key), "{}: {message}", self.adapter);
            }
            other => panic!("{} with {:?}: {other:?}", self.adapter, delivery.headers),
        }
    }
}

/// The delivery with these values of a header in place of its own.
fn with(delivery: &WebhookRequest, name: &str, values: &[&[u8]]) -> WebhookRequest {
    let mut changed = delivery.clone();
    changed.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    changed.headers.extend(values.iter().map(|value| (name.to_owned(), value.to_vec())));
    changed
}

fn value<'a>(delivery: &'a WebhookRequest, name: &str) -> &'a [u8] {
    &delivery.headers.iter().find(|(key, _)| key == name).unwrap().1
}

#[tokio::test]
async fn what_a_vendor_signed_is_taken_with_any_of_the_keys_and_with_no_other() {
    let world = World::new(Budget::default());
    for vendor in vendors() {
        let (key, other) = (vendor.key, vendor.other_key);
        for keys in [&[key][..], &[other, key], &[key, other]] {
            vendor.assert_taken(&world, keys, &vendor.delivery).await;
        }
        for keys in [&[other][..], &[""], &[]] {
            vendor.assert_unauthorized(&world, keys, &vendor.delivery).await;
        }
    }
}

#[tokio::test]
async fn a_changed_body_is_unauthorized() {
    let world = World::new(Budget::default());
    for vendor in vendors() {
        let body = vendor.delivery.body.to_vec();
        let flipped = |at: usize| {
            let mut body = body.clone();
            body[at] ^= 1;
            body
        };
        let changed = [flipped(0), flipped(body.len() - 1), body[1..].to_vec(), [&body[..], b" "].concat(), Vec::new()];
        for body in changed {
            let delivery = WebhookRequest { body: body.into(), ..vendor.delivery.clone() };
            vendor.assert_unauthorized(&world, &[vendor.key], &delivery).await;
        }
    }
}

#[tokio::test]
async fn a_proof_that_is_missing_doubled_or_malformed_proves_nothing() {
    let world = World::new(Budget::default());
    for vendor in vendors() {
        for name in vendor.proofs {
            let right = value(&vendor.delivery, name);
            vendor.assert_unauthorized(&world, &[vendor.key], &with(&vendor.delivery, name, &[])).await;
            // Base64 without its padding says the same, so two are cut off.
            for wrong in [b"", &b" "[..], b"0", &right[1..], &right[..right.len() - 2]] {
                vendor.assert_unauthorized(&world, &[vendor.key], &with(&vendor.delivery, name, &[wrong])).await;
            }
            // Which of two was signed, nobody knows; nor what bytes that are no text stand for.
            for wrong in [&[right, right][..], &[right, b"0"], &[b"0", right], &[&b"\xff"[..]]] {
                let received = vendor.receive(&world, &[vendor.key], &with(&vendor.delivery, name, wrong)).await;
                assert!(matches!(received, Err(Refusal::Malformed(_))), "{} {name}: {received:?}", vendor.adapter);
            }
        }
    }
}

#[tokio::test]
async fn a_delivery_is_fresh_up_to_its_tolerance_and_not_a_millisecond_more() {
    let world = World::new(Budget::default());
    for vendor in vendors() {
        let Some(fresh_ms) = vendor.fresh_ms else { continue };
        let sent = vendor.delivery.received_at.as_millis();
        let received_at = |ms| WebhookRequest { received_at: Timestamp::from_millis(ms), ..vendor.delivery.clone() };
        for at in [sent - fresh_ms, sent + fresh_ms] {
            vendor.assert_taken(&world, &[vendor.key], &received_at(at)).await;
        }
        for at in [sent - fresh_ms - 1, sent + fresh_ms + 1, 0] {
            vendor.assert_unauthorized(&world, &[vendor.key], &received_at(at)).await;
        }
    }
}

#[tokio::test]
async fn github_s_documented_example_is_verified_before_its_body_is_read() {
    let world = World::new(Budget::default());
    let example = |signature: &str| github("push", signature, "Hello, World!");
    let vendor = github_push();
    let signature = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    // The signature holds, and the text is no payload.
    let received = vendor.receive(&world, &[GITHUB_KEY], &example(signature)).await;
    assert!(matches!(&received, Err(Refusal::Malformed(message)) if message.contains("JSON")), "{received:?}");
    let wrong = signature.replace("757107", "757108");
    vendor.assert_unauthorized(&world, &[GITHUB_KEY], &example(&wrong)).await;
}

#[tokio::test]
async fn github_s_ping_is_answered_when_it_is_signed_and_starts_nothing() {
    let world = World::new(Budget::default());
    let body = r#"{"zen":"Design for failure.","hook_id":30}"#;
    let ping = github("ping", "f7301943293e0b5a77895a6952aae0712d7e817da5b3d1852d6758ef860e6377", body);
    let vendor = github_push();
    let receipt = vendor.receive(&world, &[GITHUB_KEY], &ping).await.unwrap();
    assert_eq!(receipt.events, []);
    let answer = receipt.respond.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said, json!({"status": "ok", "zen": "Design for failure.", "hook_id": 30}));
    vendor.assert_unauthorized(&world, &[vendor.other_key], &ping).await;
}

#[tokio::test]
async fn a_handshake_is_answered_word_for_word_though_a_short_secret_stands_in_it() {
    let world = World::new(Budget::default());
    let answer = async |state: &str, query: &str| {
        let integration = world.integration(shipped("microsoft-graph"), json!({}), &[("client_state", &[state])]);
        let asked = WebhookRequest { query: query.to_owned(), ..delivery(&[], "", 0) };
        let receipt = world.host.receive(&integration, &asked).await.unwrap();
        String::from_utf8(receipt.respond.unwrap().body).unwrap()
    };
    for short in ["s", "Testing"] {
        assert_eq!(answer(short, "validationToken=Validation%3A+Testing").await, "Validation: Testing");
    }
    assert_eq!(answer("Eight-By", "validationToken=Eight-Bytes").await, "<secret client_state>tes");
}

#[tokio::test]
async fn generic_takes_everything_only_while_nothing_is_configured() {
    let world = World::new(Budget::default());
    let receive = async |config: Value, headers: &[(&str, &str)]| {
        let integration = world.integration(shipped("generic"), config, &[("header_value", &["old", "new"])]);
        world.host.receive(&integration, &delivery(headers, "\u{0}", 0)).await
    };
    let taken = Ok(Receipt { events: vec![event(None, "webhook")], respond: None });
    assert_eq!(receive(json!({}), &[]).await, taken);
    let header = json!({"auth": {"header": "X-Token"}});
    assert_eq!(receive(header.clone(), &[("x-token", "old")]).await, taken);
    assert_eq!(receive(header.clone(), &[("x-token", "new")]).await, taken);
    for headers in [&[][..], &[("x-token", "older")], &[("x-token", "")]] {
        let received = receive(header.clone(), headers).await;
        assert!(matches!(received, Err(Refusal::Unauthorized(_))), "{headers:?}: {received:?}");
    }
    // A key that is misspelt does not open the door.
    let received = receive(json!({"Auth": {"header": "X-Token"}}), &[]).await;
    assert!(matches!(received, Err(Refusal::Unsupported(_))), "{received:?}");
}

#[tokio::test]
async fn what_is_nested_too_deep_or_too_many_is_the_delivery_s_fault_and_not_the_adapter_s() {
    let world = World::new(Budget::default());
    let integration = world.integration(shipped("okta"), json!({}), &[("header_value", &["a-long-token"])]);
    let receive = async |events: String| {
        let body = format!(r#"{{"data":{{"events":[{events}]}}}}"#);
        world.host.receive(&integration, &delivery(&[("Authorization", "a-long-token")], &body, 0)).await
    };
    let nested = |levels: usize| format!(r#"{{"eventType":"a","x":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(receive(nested(99)).await.unwrap().events.len(), 1);
    let deep = receive(nested(100)).await;
    assert!(matches!(&deep, Err(Refusal::Malformed(why)) if why.contains("deeper than 100 levels")), "{deep:?}");
    let many = |count: usize| vec![r#"{"eventType":"a"}"#; count].join(",");
    assert_eq!(receive(many(1000)).await.unwrap().events.len(), 1000);
    let crowd = receive(many(1001)).await;
    assert!(matches!(&crowd, Err(Refusal::Malformed(why)) if why.contains("1001 events, more than 1000")), "{crowd:?}");
}

/// What a vendor is to send: this body, with the id and at the time of its published delivery.
fn sample(vendor: &Vendor, event: &str) -> Sample {
    Sample {
        event: event.to_owned(),
        body: vendor.delivery.body.clone(),
        id: vendor.event.id.clone().unwrap_or_default(),
        sent_at: vendor.delivery.received_at,
        public_url: vendor.delivery.public_url.clone(),
    }
}

#[tokio::test]
async fn a_sample_is_signed_with_the_first_key_as_its_vendor_signs() {
    let world = World::new(Budget::default());
    for (vendor, event) in vendors().into_iter().zip(["push", "event", "command"]) {
        let keys: &[&str] = &[vendor.key, vendor.other_key];
        let integration =
            world.integration(shipped(vendor.adapter), vendor.config.clone(), &[("signing_secret", keys)]);
        let signed = world.host.sign(&integration, sample(&vendor, event)).await.unwrap();
        for name in vendor.proofs {
            assert_eq!(value(&signed, name), value(&vendor.delivery, name), "{} {name}", vendor.adapter);
        }
        assert_eq!((signed.method.as_str(), &signed.body), ("POST", &vendor.delivery.body));
        vendor.assert_taken(&world, &[vendor.key], &signed).await;
    }
}

#[tokio::test]
async fn what_cannot_be_signed_is_told_apart() {
    let world = World::new(Budget { output_bytes: 1024, ..Budget::default() });
    let vendor = github_push();
    let sign = async |adapter: &str, keys: &[&str], body: String| {
        let integration = world.integration(shipped(adapter), json!({}), &[("signing_secret", keys)]);
        world.host.sign(&integration, Sample { body: body.into(), ..sample(&vendor, "push") }).await.unwrap_err()
    };
    let discord = sign("discord", &["k"], "{}".to_owned()).await;
    assert!(matches!(&discord, Refusal::Unsupported(why) if why.contains("cannot sign")), "{discord:?}");
    let no_key = sign("github", &[], "{}".to_owned()).await;
    assert!(matches!(&no_key, Refusal::Unauthorized(why) if why.contains("`signing_secret`")), "{no_key:?}");
    let large = sign("github", &["k"], "x".repeat(1024)).await;
    assert!(matches!(&large, Refusal::Broken(failure) if failure.message.contains("1024")), "{large:?}");
}

/// 300 KB.
const COMPONENT_BYTES_MAX: usize = 300_000;
#[test]
fn a_shipped_adapter_is_small_and_tells_nothing_of_who_built_it() {
    let host = std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let folders = std::fs::read_dir(std::path::Path::new(&host).join("../../plugins/adapters")).unwrap();
    let names: Vec<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let bytes = shipped(&name);
        let found = bytes.len();
        assert!(found <= COMPONENT_BYTES_MAX, "`{name}` has {found} bytes; {COMPONENT_BYTES_MAX} are allowed");
        let told = bytes.windows(13).any(|part| part == b"/registry/src");
        assert!(!told, "`{name}` names the folder of somebody's crates");
    }
}
