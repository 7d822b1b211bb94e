//! Slack's own vector, its handshake, and forms.

use super::*;
use camshaft_sdk::testing::{self, Sent, Vendor};

/// Published by Slack with its documentation.
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SENT: u64 = 1_531_420_618;
const COMMAND: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

fn receive(media_type: &str, body: &str) -> Result<Receipt, Rejection> {
    let sent = Sent { kind: "", body: body.as_bytes(), key: SECRET, at_ms: SENT * 1000 };
    let request = sent.signed::<Slack>().with_header("Content-Type", media_type);
    testing::receive::<Slack>(&request, json!({}), &[("signing_secret", &[SECRET])])
}

#[test]
fn golden_cases_hold() {
    testing::adapter_cases::<Slack>("cases");
}

#[test]
fn every_attack_is_withstood() {
    let proofs = &["X-Slack-Signature", "X-Slack-Request-Timestamp"];
    Vendor::new::<Slack>().proofs(proofs).tolerance(300).withstands();
}

#[test]
fn what_slacks_own_library_signs_is_taken() {
    testing::adapter_table::<Slack>(testing::VENDORS);
}

#[test]
fn the_published_signature_is_the_one_that_is_made_and_taken() {
    let sent = Sent { kind: "", body: COMMAND.as_bytes(), key: SECRET, at_ms: SENT * 1000 };
    assert_eq!(sent.signed::<Slack>().header("X-Slack-Signature"), Ok(Some(SIGNATURE)));
    let command = Event {
        id: Some("398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c".into()),
        source: Some("T1DC2JH3J".into()),
        subject: Some("/webhook-collect".into()),
        ..Event::new("slash_command")
    };
    assert_eq!(receive("application/x-www-form-urlencoded", COMMAND), Ok(command.into()));
}

#[test]
fn the_challenge_is_given_back_and_starts_nothing() {
    let body =
        r#"{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
    let receipt = receive("application/json", body).unwrap();
    assert!(receipt.events.is_empty());
    assert_eq!(receipt.respond.unwrap().body, b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
}

#[test]
fn a_look_at_the_certificate_is_answered_once_it_is_signed_and_starts_nothing() {
    let form = "ssl_check=1&token=x";
    let receipt = receive("application/x-www-form-urlencoded", form).unwrap();
    assert_eq!((receipt.events.len(), receipt.respond.unwrap().status), (0, 200));
    let unsigned = testing::delivery(&[("Content-Type", "application/x-www-form-urlencoded")], form, SENT * 1000);
    let result = testing::receive::<Slack>(&unsigned, json!({}), &[("signing_secret", &[SECRET])]);
    assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{result:?}");
}

#[test]
fn an_interaction_gives_the_json_inside_as_the_body() {
    let form = "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%2212.3%22%2C%22team%22%3A%7B%22id%22%3A%22T1%22%7D%7D";
    let body = json!({ "type": "block_actions", "trigger_id": "12.3", "team": { "id": "T1" } });
    let expected =
        Event { id: Some("12.3".into()), source: Some("T1".into()), body: Some(body), ..Event::new("block_actions") };
    assert_eq!(receive("application/x-www-form-urlencoded", form), Ok(expected.into()));
}
