//! Why deliveries are refused, with the real adapters.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::server::Server;

const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = r#"{"zen":"It's a Secret to Everybody","n":1}"#;

fn mac(key: &[u8], parts: &[&str]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().to_vec()
}

/// A server with an integration of GitHub.
fn github() -> Server {
    let server = Server::start();
    server.ok(
        "PUT",
        "/api/v1/integrations/github",
        &json!({"adapter": "github", "secrets": {"signing_secret": SECRET}}).to_string(),
    );
    server
}

/// Sends what is refused.
fn refused(server: &Server, signed: &str, key: &str, sent: &str) {
    let signature = format!("sha256={}", hex::encode(mac(key.as_bytes(), &[signed])));
    let headers = [
        ("X-GitHub-Event", "push"),
        ("X-GitHub-Delivery", "d-1"),
        ("X-Api-Token", "of-somebody"),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    let answer = server.send("POST", "/v1/webhooks/github?token=tell-nobody", &headers, sent.as_bytes());
    assert_eq!(answer.status, 401, "{}", answer.text());
}

fn examined(server: &Server, integration: &str) -> Value {
    let found = server.ok("POST", &format!("/api/v1/integrations/{integration}/doctor"), "");
    found["refused"][0].clone()
}

#[test]
fn the_body_the_secret_and_what_is_mended_are_told_apart_and_nothing_secret_is_shown() {
    let server = github();
    let path = "/api/v1/integrations/github/doctor";
    let notes = server.ok("POST", path, "")["notes"].to_string();
    assert!(notes.contains("nothing has come") && notes.contains("no published workflow"), "{notes}");

    refused(&server, BODY, SECRET, &format!("{BODY}\n"));
    let found = examined(&server, "github");
    assert_eq!(found["cause"], "body", "{found}");
    assert!(found["advice"].as_str().unwrap().contains("line break was put behind it"), "{found}");

    refused(&server, BODY, "another one", BODY);
    let found = examined(&server, "github");
    assert_eq!((&found["cause"], &found["delivery"]), (&json!("secret"), &json!("d-1")), "{found}");
    assert!(found["advice"].as_str().unwrap().contains("`signing_secret`"), "{found}");
    assert_eq!(found["request"]["body"], r#"{"zen":"<secret signing_secret>","n":1}"#);
    for secret in [SECRET, "of-somebody", "tell-nobody"] {
        assert!(!found.to_string().contains(secret), "{secret}: {found}");
        let shown = server.cli(&["integration", "doctor", "github"]);
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.status.success() && text.contains("secret: no other time") && !text.contains(secret), "{text}");
    }

    let changed = json!({"adapter": "github", "secrets": {"signing_secret": "another one"}});
    server.ok("PUT", "/api/v1/integrations/github", &changed.to_string());
    assert_eq!(examined(&server, "github")["cause"], "mended");
    assert_eq!(server.api("POST", "/api/v1/integrations/gihub/doctor", "").status, 404);
}

#[test]
fn only_the_last_five_are_kept_whole() {
    let server = github();
    for _ in 0..7 {
        refused(&server, BODY, "another one", BODY);
    }
    let found = server.ok("POST", "/api/v1/integrations/github/doctor", "");
    assert_eq!(found["refused"].as_array().unwrap().len(), 5);
}

#[test]
fn a_delivery_that_is_dated_wrong_is_one_of_the_clock() {
    let server = Server::start();
    let key = STANDARD.encode("twenty-four bytes of key");
    let integration = json!({"adapter": "standard-webhooks", "secrets": {"signing_secret": format!("whsec_{key}")}});
    server.ok("PUT", "/api/v1/integrations/shop", &integration.to_string());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let dated = (now - 3600).to_string();
    let signature = format!("v1,{}", STANDARD.encode(mac(b"twenty-four bytes of key", &["m-1.", &dated, ".", BODY])));
    let headers = [("webhook-id", "m-1"), ("webhook-timestamp", &dated), ("webhook-signature", &signature)];
    let answer = server.send("POST", "/v1/webhooks/shop", &headers, BODY.as_bytes());
    assert_eq!(answer.status, 401, "{}", answer.text());
    let found = examined(&server, "shop");
    assert_eq!(found["cause"], "clock", "{found}");
    let advice = found["advice"].as_str().unwrap();
    assert!(advice.contains("before it came") && (advice.contains("1h") || advice.contains("59m")), "{advice}");
}

#[test]
fn a_url_that_a_proxy_hid_is_told_by_the_vendors_own_signature() {
    let server = Server::start();
    let integration = json!({"adapter": "square", "secrets": {"signing_secret": "key of the shop"}});
    server.ok("PUT", "/api/v1/integrations/shop", &integration.to_string());
    let body = r#"{"merchant_id":"M","type":"payment.updated","event_id":"e-1","created_at":"2026-11-22T02:00:00Z","data":{}}"#;
    let signature = STANDARD.encode(mac(b"key of the shop", &["https://hooks.example/v1/webhooks/shop", body]));
    let headers = [("X-Square-HmacSha256-Signature", signature.as_str()), ("X-Forwarded-Host", "hooks.example")];
    let answer = server.send("POST", "/v1/webhooks/shop", &headers, body.as_bytes());
    assert_eq!(answer.status, 401, "{}", answer.text());
    let found = examined(&server, "shop");
    assert_eq!(found["cause"], "url", "{found}");
    assert!(found["advice"].as_str().unwrap().contains("signed `https://hooks.example/v1/webhooks/shop`"), "{found}");
}

#[test]
fn what_the_reason_says_is_not_blamed_on_a_secret_and_what_is_large_is_listed() {
    let server = github();
    let answer = server.send("POST", "/v1/webhooks/github", &[("X-GitHub-Event", "push")], BODY.as_bytes());
    assert_eq!(answer.status, 401, "{}", answer.text());
    let found = examined(&server, "github");
    assert_eq!(found["cause"], "other", "{found}");
    assert!(found["reason"].as_str().unwrap().contains("-256` is missing"), "{found}");

    // At the bound it is kept whole, one byte past it is not.
    for (bytes, cause) in [(256 << 10, "secret"), ((256 << 10) + 1, "other")] {
        let body = format!("\"{}\"", "x".repeat(bytes - 2));
        refused(&server, &body, "another one", &body);
        let found = examined(&server, "github");
        assert_eq!((&found["cause"], &found["request"]["body_bytes"]), (&json!(cause), &json!(bytes)), "{bytes}");
    }
}
