//! Secrets: handed out only where granted, and masked in everything that comes back.

use std::io;
use std::sync::{Arc, Mutex};

use camshaft_host::Host;
use camshaft_model::ids::SecretName;
use camshaft_model::language::template::{Input, SecretOf, SecretPlace};
use camshaft_model::limits::Budget;
use camshaft_model::outcome::FailureKind;
use camshaft_model::plugin::Grant;
use camshaft_model::seams::{AdapterResponse, Integration, Plugins, Receipt, Refusal, Sample};
use camshaft_model::time::Timestamp;
use camshaft_model::{Value, json};

use crate::world::{World, delivery, failure, guest, shipped};

const VALUE: &str = "hunter2-and-more";

fn world() -> World {
    let world = World::new(Budget::default());
    world.secret("told", VALUE);
    world.grant(Grant { secrets: vec!["told".into(), "unset".into()], ..Grant::default() });
    world
}

#[tokio::test]
async fn a_secret_shows_nowhere() {
    let world = world();
    for how in ["output", "failure", "panic"] {
        let done = world.call(guest("secret-echo"), json!({"name": "told", "how": how})).await;
        assert!(!format!("{done:?}").contains(VALUE), "{how}: {done:?}");
        assert!(done.log[0].message.contains("<secret told>"), "{how}: {:?}", done.log);
        assert_eq!(done.log[0].fields["secret"], "<secret told>", "{how}");
        match how {
            "output" => {
                let expected = json!({"secret": "<secret told>", "inside": "<<secret told>>"});
                assert_eq!(done.result, Ok(expected));
            }
            "failure" => {
                let failed = failure(&done, FailureKind::Failed);
                assert_eq!(failed.message, "the secret is <secret told>");
                assert_eq!(failed.details, Some(json!({"secret": "<secret told>"})));
            }
            _ => drop(failure(&done, FailureKind::Trap)),
        }
    }
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn a_secret_without_a_grant_is_denied_by_its_name() {
    let world = world();
    world.grant(Grant::default());
    let done = world.call(guest("secret-echo"), json!({"name": "told"})).await;
    let denied = failure(&done, FailureKind::Denied);
    assert!(denied.message.contains("`told`"), "{denied:?}");

    // A grant holds from the next call on.
    world.grant(Grant { secrets: vec!["told".into()], ..Grant::default() });
    assert!(world.call(guest("secret-echo"), json!({"name": "told"})).await.result.is_ok());
}

#[tokio::test]
async fn a_granted_secret_that_is_not_set_is_no_denial() {
    let done = world().call(guest("secret-echo"), json!({"name": "unset"})).await;
    failure(&done, FailureKind::Failed);
}

fn input_with(name: &str) -> Input {
    let mark = format!("<secret {name}>");
    let place = SecretPlace {
        of: SecretOf::Workspace,
        name: SecretName::new(name).unwrap(),
        pointer: "/key".into(),
        start: 0,
        length: mark.len(),
    };
    Input { value: json!({"key": mark}), secrets: vec![place] }
}

#[tokio::test]
async fn a_secret_of_the_input_reaches_the_guest_and_is_masked_on_its_way_back() {
    let world = world();
    let done = world.call_with(shipped("echo"), input_with("told")).await;
    assert_eq!(done.result, Ok(json!({"key": "<secret told>"})));
    // The value was there: its length shows, not it.
    assert_eq!(done.usage.input_bytes as usize, json!({"key": VALUE}).to_string().len());
}

#[tokio::test]
async fn a_secret_of_the_input_that_is_not_set_is_named() {
    let done = world().call_with(shipped("echo"), input_with("nowhere")).await;
    let failure = done.result.unwrap_err();
    assert!(failure.message.contains("`nowhere`"), "{failure:?}");
}

/// One while the other is rotated in, one of several lines, and one that is a number.
const KEYS: [&str; 3] = ["whsec_correct-horse", "first line of the key\nlast line of the key", "8472910365"];

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an adapter that tells its secrets this way comes back with, and what is logged meanwhile.
async fn leak(how: &str) -> (Result<Receipt, Refusal>, String) {
    listened(how, async |host, integration| host.receive(integration, &delivery(&[], "{}", 0)).await).await
}

/// What a call of the adapter comes back with, and what is logged meanwhile.
async fn listened<T>(how: &str, call: impl AsyncFnOnce(&Host, &Integration) -> T) -> (T, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let world = world();
    let integration = world.integration(guest("leaky-adapter"), json!({ "how": how }), &[("key", &KEYS)]);
    let returned = call(&world.host, &integration).await;
    (returned, log.text())
}

/// Every text in what came back, whatever it was in.
fn texts(received: &Result<Receipt, Refusal>) -> String {
    let mut texts = format!("{received:?}");
    if let Ok(receipt) = received {
        for event in &receipt.events {
            texts.extend([&event.id, &event.source, &event.subject].into_iter().flatten().map(String::as_str));
            texts.push_str(&event.kind);
            texts.push_str(&event.body.as_ref().map(Value::to_string).unwrap_or_default());
        }
        if let Some(AdapterResponse { headers, body, .. }) = &receipt.respond {
            headers.iter().for_each(|(name, value)| texts.extend([name.as_str(), value]));
            texts.push_str(&String::from_utf8_lossy(body));
        }
    }
    texts
}

#[tokio::test]
async fn an_adapter_s_secrets_show_nowhere() {
    let told = "<secret key> and <secret key> and <secret key> and <secret told>";
    for how in ["event", "answer", "unauthorized", "malformed", "unsupported", "panic"] {
        let (received, log) = leak(how).await;
        let texts = texts(&received);
        for secret in [KEYS.as_slice(), &[VALUE]].concat() {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for part in secret.lines().chain([hex.as_str()]) {
                assert!(!texts.contains(part), "{how}: `{part}` in {texts}");
                assert!(!log.contains(part), "{how}: `{part}` in the log: {log}");
            }
        }
        // It did tell them: once in a line, twice printed, once more in a panic.
        assert_eq!(log.matches(told).count(), if how == "panic" { 4 } else { 3 }, "{how}: {log}");
        match received {
            Ok(Receipt { events, respond: None }) if how == "event" => {
                let [event] = &events[..] else { panic!("one event: {events:?}") };
                let all = [&event.id, &event.source, &event.subject];
                assert!(all.iter().all(|text| text.as_deref() == Some(told)), "{event:?}");
                assert_eq!(event.kind, told);
                let body = event.body.as_ref().unwrap();
                assert_eq!(body["values"], json!(["<secret key>", "<secret key>", "<secret key>", "<secret told>"]));
                assert_eq!((&body["deep"][0]["text"], &body[told]), (&json!(told), &json!(true)));
                assert_eq!(body["numbers"], json!(["<secret key>"]));
            }
            Ok(Receipt { events, respond: Some(answer) }) if how == "answer" => {
                assert_eq!((events.len(), answer.status), (0, 200));
                assert_eq!(answer.headers, [(told.to_owned(), "a".to_owned()), ("a".to_owned(), told.to_owned())]);
                assert_eq!(answer.body, [b"\xff", told.as_bytes(), b"\xff"].concat());
            }
            Err(Refusal::Unauthorized(message)) if how == "unauthorized" => assert_eq!(message, told),
            Err(Refusal::Malformed(message)) if how == "malformed" => assert_eq!(message, told),
            Err(Refusal::Unsupported(message)) if how == "unsupported" => assert_eq!(message, told),
            Err(Refusal::Broken(failure)) if how == "panic" => assert_eq!(failure.kind, FailureKind::Trap),
            other => panic!("{how}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_adapter_that_does_not_sign_shows_no_secret_either() {
    for how in ["unauthorized", "malformed", "unsupported", "panic"] {
        let sample = Sample {
            event: "push".into(),
            body: "{}".into(),
            id: "d-1".into(),
            sent_at: Timestamp(0),
            public_url: "https://camshaft.example/v1/webhooks/shop".into(),
        };
        let (signed, log) = listened(how, async |host, integration| host.sign(integration, sample).await).await;
        let refusal = signed.unwrap_err();
        let texts = format!("{refusal:?} {log}");
        for secret in [KEYS.as_slice(), &[VALUE]].concat() {
            assert!(secret.lines().all(|line| !texts.contains(line)), "{how}: `{secret}` in {texts}");
        }
        assert!(texts.contains("<secret key>"), "{how}: it did tell them: {texts}");
    }
}
