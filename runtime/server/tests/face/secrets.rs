//! Secrets: they go in, they reach the plugins that should have them, and they are seen nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use camshaft_model::json;
use camshaft_model::resource::ResourceKind;
use camshaft_store::RedbStore;
use tracing_subscriber::fmt::MakeWriter;

use crate::bench::{ADMIN, Bench, Options};

const VALUE: &str = "hunt-me-4f1c9a";
const SIGNING: &str = "hunt-me-too-77ab";

#[tokio::test]
async fn names_and_times_are_listed_and_values_never() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/secrets/api_key", format!(r#"{{"value": "{VALUE}"}}"#)).await.is(204);
    let listed = bench.call("GET", "/api/v1/secrets", Body::empty()).await.is(200);
    assert_eq!(listed.json()["items"][0]["name"], "api_key");
    assert!(!listed.text().contains(VALUE));
    bench.call("DELETE", "/api/v1/secrets/api_key", Body::empty()).await.is(204);
    bench.call("DELETE", "/api/v1/secrets/api_key", Body::empty()).await.problem(404, &["`api_key`"]);
    bench.call("PUT", "/api/v1/secrets/a-b", r#"{"value": "x"}"#).await.problem(400, &["`a-b`"]);
    bench.call("PUT", "/api/v1/secrets/a", r#"{"value": ""}"#).await.problem(422, &["empty"]);
    bench
        .call("PUT", "/api/v1/secrets/a", json!({"value": "x".repeat(65_537)}).to_string())
        .await
        .problem(422, &["65537"]);
}

/// What was meant as a secret and went to a wrong place must not come back in the message about it.
#[tokio::test]
async fn no_error_shows_what_may_have_been_meant_as_a_secret() {
    let bench = Bench::new().await;
    let integration = |rest: &str| format!(r#"{{"adapter": "generic", {rest}}}"#);
    for (path, body, named) in [
        ("/api/v1/secrets/pin", r#"{"value": 98765432101234}"#.to_owned(), vec!["`value`", "a text is expected"]),
        ("/api/v1/secrets/pin", r#"{"value": ["hunter9"]}"#.to_owned(), vec!["`value`", "a text is expected"]),
        ("/api/v1/secrets/pin", r#""hunter9""#.to_owned(), vec!["a JSON text, an object is expected"]),
        ("/api/v1/secrets/pin", "98765432101234".to_owned(), vec!["a JSON number, an object is expected"]),
        ("/api/v1/integrations/shop", integration(r#""secrets": "hunter9""#), vec!["`secrets`", "a map is expected"]),
        ("/api/v1/integrations/shop", integration(r#""secrets": 98765432101234"#), vec!["`secrets`"]),
        ("/api/v1/integrations/shop", integration(r#""secrets": ["hunter9"]"#), vec!["`secrets`"]),
        ("/api/v1/integrations/shop", integration(r#""config": "hunter9""#), vec!["`config`", "a map is expected"]),
        (
            "/api/v1/integrations/shop",
            integration(r#""secrets": {"signing_secret": 98765432101234}"#),
            vec!["a list of texts"],
        ),
        (
            "/api/v1/integrations/shop",
            integration(r#""config": {"signing_secret": "hunter9"}"#),
            vec!["signing_secret"],
        ),
        (
            "/api/v1/integrations/shop",
            integration(r#""config": {"tolerance_s": "hunter9"}"#),
            vec!["/tolerance_s", "integer"],
        ),
        (
            "/api/v1/integrations/shop",
            integration(r#""config": {"auth": {"header": "X", "header_value": "hunter9"}}"#),
            vec!["/auth", "`header_value`", "('header_value' was unexpected)"],
        ),
        (
            "/api/v1/integrations/shop",
            integration(r#""config": {"nothing": {"signing_secret": "hunter9"}}"#),
            vec!["/nothing", "nothing is taken here, found `signing_secret`"],
        ),
    ] {
        let answer = bench.call("PUT", path, body.clone()).await;
        let text = answer.text();
        assert!(text.contains("\"status\":4"), "{body}: {text}");
        for named in named {
            assert!(text.contains(named), "{body}: {named:?} is not in {text}");
        }
        for hidden in ["hunter9", "98765", "SecretBody", "struct"] {
            assert!(!text.contains(hidden), "{body}: {text}");
        }
    }
}

#[tokio::test]
async fn a_change_of_a_secret_holds_from_the_next_call_on() {
    let bench = Bench::new().await;
    publish_user(&bench).await;
    for value in ["first", "second"] {
        bench.call("PUT", "/api/v1/secrets/api_key", format!(r#"{{"value": "{value}"}}"#)).await.is(204);
        bench.run("user", "{}").await;
        let seen = bench.hands.seen.lock().unwrap().last().cloned().unwrap();
        assert_eq!(seen["key"], format!("Bearer {value}"));
    }
    bench.call("DELETE", "/api/v1/secrets/api_key", Body::empty()).await.is(204);
    let execution = bench.run("user", "{}").await;
    assert_eq!(execution["failure"]["kind"], "denied");
}

/// The catalog would tell another story than the store otherwise.
#[tokio::test]
async fn a_change_that_began_is_made_though_its_caller_hangs_up() {
    let bench = Bench::new().await;
    let mut asking = Box::pin(bench.call("PUT", "/api/v1/secrets/api_key", r#"{"value": "v"}"#));
    assert!(futures::poll!(&mut asking).is_pending());
    drop(asking);
    while bench.get("/api/v1/secrets").await["items"] == json!([]) {
        tokio::task::yield_now().await;
    }
    let stored = bench.app.store.resources(ResourceKind::Secret, None, None, 10).await.unwrap();
    assert_eq!(stored.len(), 1);
}

async fn publish_user(bench: &Bench) {
    let document = "
name: user
triggers: [{ manual: {} }]
steps:
  - id: use
    task: echo@1
    with: { key: \"Bearer {{ $.secrets.api_key }}\" }
  - exit: { status: 200, body: \"{{ $.steps.use }}\" }
";
    bench.call("PUT", "/api/v1/secrets/api_key", format!(r#"{{"value": "{VALUE}"}}"#)).await.is(204);
    bench.publish("user", document).await;
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything runs on this one thread, so that the log of this thread is the whole log.
#[tokio::test(flavor = "current_thread")]
async fn a_secret_is_in_no_answer_no_log_line_and_no_byte_of_the_database() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("camshaft.redb");
    let store = Arc::new(RedbStore::open(&database).unwrap());
    let bench = Bench::with(Options { store, ..Options::default() }).await;

    publish_user(&bench).await;
    let shop = json!({"adapter": "signed", "secrets": {"signing_secret": SIGNING}});
    bench.call("PUT", "/api/v1/integrations/shop", shop.to_string()).await.is(201);
    let listener = "name: listener\ntriggers:\n  - webhook: { integration: shop }\nsteps:\n  - exit: {}\n";
    bench.publish("listener", listener).await;
    let token = bench.call("POST", "/api/v1/tokens", r#"{"label": "t", "scope": "read"}"#).await.is(201).json();
    let token = token["token"].as_str().unwrap().to_owned();
    let presented = token.rsplit('_').next().unwrap().to_owned();

    let execution = bench.run("user", "{}").await;
    assert_eq!(bench.hands.seen.lock().unwrap()[0]["key"], format!("Bearer {VALUE}"), "the plugin has it");
    assert_eq!(execution["steps"][0]["attempts"][0]["input"]["key"], "Bearer <secret api_key>");
    let signed = [("x-signature", SIGNING)];
    bench.send("POST", "/v1/webhooks/shop", &signed, "{}").await.is(200);
    bench.send("POST", "/v1/webhooks/shop", &[("x-signature", "wrong")], "{}").await.is(401);
    bench.call_as(&token, "GET", "/api/v1/workflows", Body::empty()).await.is(200);

    let hunted = [VALUE, SIGNING, ADMIN, presented.as_str()];
    let id = execution["id"].as_str().unwrap();
    let hook = bench.get("/api/v1/executions?workflow=listener").await["items"][0]["id"].as_str().unwrap().to_owned();
    bench.ended(&hook).await;
    for path in [
        "/api/v1/secrets".to_owned(),
        "/api/v1/tokens".to_owned(),
        "/api/v1/integrations".to_owned(),
        "/api/v1/integrations/shop".to_owned(),
        "/api/v1/workflows".to_owned(),
        "/api/v1/workflows/user/revisions/1".to_owned(),
        "/api/v1/executions".to_owned(),
        format!("/api/v1/executions/{id}"),
        format!("/api/v1/executions/{id}/journal"),
        format!("/api/v1/executions/{hook}"),
        format!("/api/v1/executions/{hook}/journal"),
        format!("/public/v1alpha/executions/{id}"),
        "/metrics".to_owned(),
    ] {
        let answer = bench.call("GET", &path, Body::empty()).await.is(200).text();
        for value in hunted {
            assert!(!answer.contains(value), "{value} is in {path}");
        }
    }
    let contains = |bytes: &[u8], value: &str| bytes.windows(value.len()).any(|window| window == value.as_bytes());
    drop(logging);
    let logged = log.0.lock().unwrap().clone();
    assert!(contains(&logged, "delivery refused"), "the log is looked at");
    let stored = std::fs::read(&database).unwrap();
    assert!(contains(&stored, "api_key"), "the database is looked at");
    for value in hunted {
        assert!(!contains(&logged, value), "{value} is in the log");
        assert!(!contains(&stored, value), "{value} is in the database");
    }
}
