//! Deliveries as vendors send them, through the real server, where no adapter can sign them for itself.

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::server::{Answer, Server};

fn integration(server: &Server, adapter: &str, secret: &str) {
    let spec = json!({"adapter": adapter, "secrets": {"signing_secret": secret}});
    server.ok("PUT", &format!("/api/v1/integrations/{adapter}"), &spec.to_string());
    let document = json!({
        "name": "listen",
        "triggers": [{"webhook": {"integration": adapter}}],
        "steps": [{"exit": {"body": "{{ $.event }}"}}],
    });
    server.publish("listen", &document.to_string());
}

/// The event of the only execution that a delivery has started.
fn event(server: &Server, answer: &Value) -> Value {
    let executions = answer["executions"].as_array().expect("a list");
    assert_eq!(executions.len(), 1, "{answer}");
    server.ended(executions[0]["execution_id"].as_str().expect("an id"))["output"]["body"].clone()
}

#[test]
fn discord_s_interactions_start_something_and_its_pings_are_answered() {
    let server = Server::start();
    let key = SigningKey::from_bytes(&[7; 32]);
    integration(&server, "discord", &hex::encode(key.verifying_key().as_bytes()));
    let send = |signed: &str, body: &str| -> Answer {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs().to_string();
        let signature = hex::encode(key.sign(format!("{time}{signed}").as_bytes()).to_bytes());
        let headers = [("X-Signature-Ed25519", signature.as_str()), ("X-Signature-Timestamp", time.as_str())];
        server.send("POST", "/v1/webhooks/discord", &headers, body.as_bytes())
    };
    let ping = r#"{"type":1}"#;
    let answer = send(ping, ping);
    assert_eq!((answer.status, answer.json()), (200, json!({"type": 1})));

    let pressed = r#"{"type":3,"id":"846462639134605312","guild_id":"29","data":{"custom_id":"click_one"}}"#;
    let event = event(&server, &send(pressed, pressed).json());
    assert_eq!(
        (&event["type"], &event["id"], &event["source"], &event["subject"]),
        (&json!("message_component"), &json!("846462639134605312"), &json!("29"), &json!("click_one"))
    );
    assert_eq!(event["body"]["data"]["custom_id"], "click_one");
    assert_eq!(send(ping, pressed).status, 401, "another body than was signed");
}

#[test]
fn an_id_that_the_server_makes_for_a_request_is_no_part_of_the_delivery() {
    let server = Server::start();
    integration(&server, "bitbucket", "tell-nobody");
    let send = |body: &str, headers: &[(&str, &str)]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"tell-nobody").expect("HMAC takes any key");
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let own = [("X-Event-Key", "repo:push"), ("X-Hub-Signature", signature.as_str())];
        let answer = server.send("POST", "/v1/webhooks/bitbucket", &[&own[..], headers].concat(), body.as_bytes());
        event(&server, &answer.json())
    };
    let nameless = send(r#"{"n":1}"#, &[]);
    assert_eq!((&nameless["id"], nameless["headers"].get("X-Request-Id")), (&json!(null), None), "{nameless}");
    let theirs = send(r#"{"n":2}"#, &[("X-Request-Id", "theirs-1")]);
    assert_eq!((&theirs["id"], &theirs["headers"]["X-Request-Id"]), (&json!("theirs-1"), &json!(["theirs-1"])));
}

#[test]
fn a_key_that_is_none_is_refused_before_it_is_kept() {
    let server = Server::start();
    let put = |adapter: &str, secrets: Value| {
        let spec = json!({"adapter": adapter, "secrets": {"signing_secret": secrets}});
        server.api("PUT", &format!("/api/v1/integrations/{adapter}"), &spec.to_string())
    };
    let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    for (adapter, key, wanted) in [
        ("discord", json!("no-such-key"), "64 hexadecimal digits"),
        ("discord", json!([public, "no-such-key"]), "64 hexadecimal digits"),
        ("standard-webhooks", json!("no-such-key!"), "base64"),
        ("standard-webhooks", json!("whsec_no-such-key"), "base64"),
        ("gitlab", json!("whsec_no-such-key"), "the whole signing token"),
        (
            "gitlab",
            json!(["a plain token", "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q"]),
            "the whole signing token",
        ),
    ] {
        let answer = put(adapter, key);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.status, 422, "{adapter}: {detail}");
        assert!(detail.contains("`signing_secret`") && detail.contains(wanted), "{adapter}: {detail}");
        assert!(!detail.contains("no-such-key"), "{detail}");
    }
    for (adapter, key) in [
        ("discord", json!(public)),
        ("standard-webhooks", json!("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")),
        ("gitlab", json!(["a plain token", "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q="])),
        (
            "standard-webhooks",
            json!(["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="]),
        ),
    ] {
        let answer = put(adapter, key);
        assert!([200, 201].contains(&answer.status), "{adapter}: {}", answer.text());
    }
}
