//! Workflows that one workspace shares with another: what each of the two learns, and what runs where.

use axum::body::Body;
use camshaft_model::{Value, json};

use crate::bench::{ADMIN, Answer, Bench};

/// Says which workspace's secret and variable it sees.
const SHARED: &str = "
name: shared
triggers:
  - webhook: { integration: hooks }
  - manual: {}
steps:
  - exit: { status: 200, body: { region: \"{{ $.env.REGION }}\", n: 1 } }
";

struct World {
    bench: Bench,
    lender: String,
    taker: String,
    other: String,
}

impl World {
    /// Three workspaces; `lender` has an integration and a published workflow.
    async fn new() -> Self {
        let bench = Bench::new().await;
        let [lender, taker, other] =
            [make(&bench, "lender").await, make(&bench, "taker").await, make(&bench, "other").await];
        let world = Self { bench, lender, taker, other };
        world.as_lender("PUT", "/api/v1/integrations/hooks", r#"{"adapter": "generic"}"#).await.is(201);
        for (token, region) in [(&world.lender, "EU"), (&world.taker, "US")] {
            let body = json!({"variables": {"REGION": region}}).to_string();
            let put = world.bench.call_as(token, "PUT", "/api/v1/environments/production", body).await;
            assert!(put.status < 300, "{}", put.text());
        }
        world.as_lender("PUT", "/api/v1/workflows/shared", SHARED).await.is(201);
        world.as_lender("POST", "/api/v1/workflows/shared/publish", "{}").await.is(200);
        world
    }

    async fn as_lender(&self, method: &str, path: &str, body: &str) -> Answer {
        self.bench.call_as(&self.lender, method, path, body.to_owned()).await
    }

    async fn as_taker(&self, method: &str, path: &str, body: &str) -> Answer {
        self.bench.call_as(&self.taker, method, path, body.to_owned()).await
    }

    /// Offers the workflow and accepts it; answers with the copy.
    async fn share(&self, body: &str) -> Value {
        let offer = self.as_lender("POST", "/api/v1/workflows/shared/shares", r#"{"workspace": "taker"}"#).await;
        let id = offer.json()["id"].as_str().unwrap().to_owned();
        let accepted = self.as_taker("POST", &format!("/api/v1/shares/{id}/accept"), body).await;
        assert!(accepted.status < 300, "{}", accepted.text());
        accepted.json()
    }

    /// Calls the lender's integration for a workflow.
    async fn hook(&self, workflow: &Value, rest: &str) -> Answer {
        let path = format!("/w/lender/v1/webhooks/hooks/workflows/{}{rest}", workflow.as_str().unwrap());
        self.bench.send("POST", &path, &[("content-type", "application/json")], "{}").await
    }
}

/// A workspace and an admin token of it.
async fn make(bench: &Bench, name: &str) -> String {
    bench.call("PUT", &format!("/api/v1/workspaces/{name}"), "{}").await.is(201);
    let headers = [("authorization", format!("Bearer {ADMIN}")), ("camshaft-workspace", name.to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let made = bench.send("POST", "/api/v1/tokens", &headers, r#"{"label": "admin", "scope": "admin"}"#).await;
    made.is(201).json()["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn nothing_is_taken_that_was_not_accepted_and_nobody_learns_more_than_names() {
    let world = World::new().await;
    let offer = |to: &str| format!(r#"{{"workspace": "{to}"}}"#);
    let path = "/api/v1/workflows/shared/shares";
    let real = world.as_lender("POST", path, &offer("taker")).await.is(201).json();
    let none = world.as_lender("POST", path, &offer("nobody-there")).await.is(201).json();
    let but_for_ids = |mut view: Value| {
        for field in ["id", "workspace", "created_at"] {
            assert!(view[field].take().is_string(), "{view}");
        }
        view
    };
    assert_eq!(but_for_ids(real.clone()), but_for_ids(none), "an offer tells nothing of whom it is for");
    assert_eq!(world.as_lender("POST", path, &offer("taker")).await.is(200).json()["id"], real["id"]);
    world.as_lender("POST", path, &offer("lender")).await.problem(422, &["`lender` already"]);

    world.as_taker("GET", "/api/v1/workflows/shared", "").await.is(404);
    let offers = world.as_taker("GET", "/api/v1/shares", "").await.is(200).json();
    let seen = json!({
        "id": real["id"], "workspace": "lender", "workflow": "shared", "accepted_as": null,
        "created_at": real["created_at"],
    });
    assert_eq!(offers["items"], json!([seen]));
    // Neither to the lender nor to a third is it an offer.
    for token in [&world.lender, &world.other] {
        let offers = world.bench.call_as(token, "GET", "/api/v1/shares", Body::empty()).await.is(200).json();
        assert_eq!(offers["items"], json!([]));
        let id = real["id"].as_str().unwrap();
        let accept = format!("/api/v1/shares/{id}/accept");
        let wrong = world.bench.call_as(token, "POST", &accept, "{}").await.problem(404, &[id]);
        let none = accept.replace(id, "01890000-0000-7000-8000-000000000000");
        let none = world.bench.call_as(token, "POST", &none, "{}").await.problem(404, &[]);
        assert_eq!(wrong["title"], none["title"]);
        world.bench.call_as(token, "DELETE", &format!("/api/v1/shares/{id}"), "").await.is(404);
    }
    let declined = format!("/api/v1/shares/{}", real["id"].as_str().unwrap());
    world.as_taker("DELETE", &declined, "").await.is(204);
    let left = world.as_lender("GET", path, "").await.is(200).json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_shared_workflow_runs_in_the_workspace_that_took_it_and_is_seen_there_alone() {
    let world = World::new().await;
    let copy = world.share("{}").await;
    assert_eq!((&copy["name"], &copy["published"]), (&json!("shared"), &json!({"production": 1})));
    assert_eq!(copy["shared_from"]["workspace"], "lender");
    let listed = world.as_lender("GET", "/api/v1/workflows/shared/shares", "").await.json();
    assert_eq!(listed["items"][0]["workflow_id"], copy["id"]);

    // The lender's URL with the copy's id: the answer is the copy's.
    let answer = world.hook(&copy["id"], "/sync").await.is(200);
    assert_eq!(answer.json(), json!({"region": "US", "n": 1}));
    let execution = world.hook(&copy["id"], "").await.is(200).json()["execution_id"].clone();
    let by_hand = world.as_taker("POST", "/api/v1/workflows/shared/trigger", "{}").await.is(200);
    assert!(by_hand.json()["execution_id"].is_string());
    let mine = world.as_lender("GET", "/api/v1/workflows/shared", "").await.json()["id"].clone();
    assert_eq!(world.hook(&mine, "/sync").await.is(200).json()["region"], "EU");

    let path = format!("/api/v1/executions/{}", execution.as_str().unwrap());
    let shown = world.as_taker("GET", &path, "").await.is(200).json();
    assert_eq!(shown["workflow_id"], copy["id"]);
    world.as_lender("GET", &path, "").await.is(404);
    let count = async |token: &str| {
        let page = world.bench.call_as(token, "GET", "/api/v1/executions", Body::empty()).await.is(200).json();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!((count(&world.taker).await, count(&world.lender).await), (3, 1));

    // Nobody else's URL reaches it, and the lender's reaches nothing else of the taker.
    world.bench.call_as(&world.other, "PUT", "/api/v1/integrations/hooks", r#"{"adapter": "generic"}"#).await.is(201);
    let id = copy["id"].as_str().unwrap();
    let own = SHARED.replace("name: shared", "name: own");
    let own = world.as_taker("PUT", "/api/v1/workflows/own", &own).await.is(201).json()["id"].clone();
    world.as_taker("PUT", "/api/v1/integrations/hooks", r#"{"adapter": "generic"}"#).await.is(201);
    world.as_taker("POST", "/api/v1/workflows/own/publish", "{}").await.is(200);
    let other = world.bench.send("POST", &format!("/w/other/v1/webhooks/hooks/workflows/{id}"), &[], "{}").await;
    let not_lent = world.hook(&own, "").await;
    let none = world.hook(&json!("01890000-0000-7000-8000-000000000000"), "").await;
    let but_for_id = |answer: Answer, id: &str| answer.is(404).text().replace(id, "ID");
    let none = but_for_id(none, "01890000-0000-7000-8000-000000000000");
    assert_eq!(but_for_id(other, id), none);
    assert_eq!(but_for_id(not_lent, own.as_str().unwrap()), none);
}

#[tokio::test]
async fn a_delivery_that_came_for_one_is_none_for_the_other() {
    let world = World::new().await;
    let copy = world.share("{}").await;
    let key = [("idempotency-key", "order-7")];
    let send = async |path: &str| world.bench.send("POST", path, &key, "{}").await.is(200);
    let theirs = send("/w/lender/v1/webhooks/hooks/workflows/shared").await;
    let lent = format!("/w/lender/v1/webhooks/hooks/workflows/{}", copy["id"].as_str().unwrap());
    let first = send(&lent).await;
    assert_ne!(first.json()["execution_id"], theirs.json()["execution_id"]);
    let again = send(&lent).await;
    assert_eq!((again.header("camshaft-replayed"), again.json()), (Some("true"), first.json()));
    world.as_taker("PUT", "/api/v1/integrations/hooks", r#"{"adapter": "generic"}"#).await.is(201);
    let own = send("/w/taker/v1/webhooks/hooks/workflows/shared").await;
    assert_ne!(own.json()["execution_id"], first.json()["execution_id"], "its own integration's keys are its own");
}

#[tokio::test]
async fn a_copy_follows_what_is_published_and_is_changed_by_nobody_else() {
    let world = World::new().await;
    let copy = world.share(r#"{"name": "mine"}"#).await;
    assert_eq!(copy["name"], "mine");
    for (method, path, body) in [
        ("PUT", "/api/v1/workflows/mine", SHARED.replace("name: shared", "name: mine")),
        ("POST", "/api/v1/workflows/mine/publish", "{}".to_owned()),
        ("POST", "/api/v1/workflows/mine/unpublish", "{}".to_owned()),
        ("POST", "/api/v1/workflows/mine/promote", r#"{"from": "production", "to": "staging"}"#.to_owned()),
        ("POST", "/api/v1/workflows/mine/rollback", "{}".to_owned()),
        ("POST", "/api/v1/workflows/mine/shares", r#"{"workspace": "other"}"#.to_owned()),
    ] {
        world.as_taker(method, path, &body).await.problem(409, &["`shared` of the workspace `lender`"]);
    }
    let changed = SHARED.replace("n: 1", "n: 2");
    world.as_lender("PUT", "/api/v1/workflows/shared", &changed).await.is(200);
    assert_eq!(world.hook(&copy["id"], "/sync").await.json()["n"], 1, "a draft is nobody's yet");
    world.as_lender("POST", "/api/v1/workflows/shared/publish", "{}").await.is(200);
    assert_eq!(world.hook(&copy["id"], "/sync").await.json()["n"], 2);
    let shown = world.as_taker("GET", "/api/v1/workflows/mine", "").await.json();
    assert_eq!((&shown["published"], &shown["latest_revision"]), (&json!({"production": 2}), &json!(2)));
    world.as_lender("POST", "/api/v1/workflows/shared/rollback", "{}").await.is(200);
    assert_eq!(world.hook(&copy["id"], "/sync").await.json()["n"], 1);

    // Each has its own switches.
    let switch = "/api/v1/workflows/mine/triggers/webhook:hooks";
    world.as_taker("PATCH", switch, r#"{"enabled": false}"#).await.is(200);
    world.hook(&copy["id"], "/sync").await.is(404);
    world.as_lender("POST", "/api/v1/workflows/shared/publish", "{}").await.is(200);
    world.hook(&copy["id"], "/sync").await.is(404);
    world.as_taker("PATCH", switch, r#"{"enabled": true}"#).await.is(200);
    world.as_lender("POST", "/api/v1/workflows/shared/unpublish", "{}").await.is(200);
    world.hook(&copy["id"], "/sync").await.is(404);
}

#[tokio::test]
async fn what_could_not_run_there_is_not_published_there_and_its_owner_does_not_learn() {
    let world = World::new().await;
    let step = "  - { id: said, task: echo@1, with: { key: \"{{ $.secrets.key }}\" } }\n";
    let needy = SHARED.replace("steps:\n", &format!("steps:\n{step}"));
    world.as_lender("PUT", "/api/v1/secrets/key", r#"{"value": "lenders"}"#).await.is(204);
    let copy = world.share("{}").await;
    world.as_lender("PUT", "/api/v1/workflows/shared", &needy).await.is(200);
    let published = world.as_lender("POST", "/api/v1/workflows/shared/publish", "{}").await.is(200).text();
    assert!(!published.contains("taker") && !published.contains("missing"), "{published}");
    let shown = world.as_taker("GET", "/api/v1/workflows/shared", "").await.json();
    assert_eq!(shown["published"], json!({"production": 1}));
    assert!(shown["shared_from"]["behind"].as_str().unwrap().contains("`$.secrets.key`"), "{shown}");
    let share = world.as_taker("GET", "/api/v1/shares", "").await.json()["items"][0]["id"].clone();
    let accept = format!("/api/v1/shares/{}/accept", share.as_str().unwrap());
    let refused = world.as_taker("POST", &accept, "{}").await.problem(422, &["`$.secrets.key`"]);
    assert_eq!(refused["missing"][0]["kind"], "secret");
    world.as_taker("PUT", "/api/v1/secrets/key", r#"{"value": "takers"}"#).await.is(204);
    let caught_up = world.as_taker("POST", &accept, "{}").await.is(200).json();
    assert_eq!(
        (&caught_up["published"], &caught_up["shared_from"]["behind"]),
        (&json!({"production": 2}), &Value::Null)
    );
    world.hook(&copy["id"], "/sync").await.is(200);
    let seen = world.bench.hands.seen.lock().unwrap().clone();
    assert_eq!(seen.last(), Some(&json!({"key": "takers"})), "it has its own workspace's secret");

    // A plugin that the taker does not have is the lender's to run, and nobody else's.
    let own = crate::bench::component("own-task", "1.0.0", "task", &[]);
    world.bench.call_as(&world.lender, "POST", "/api/v1/plugins", own).await.is(201);
    let with_own = SHARED.replace("steps:\n", "steps:\n  - task: own-task@1\n");
    world.as_lender("PUT", "/api/v1/workflows/shared", &with_own).await.is(200);
    world.as_lender("POST", "/api/v1/workflows/shared/publish", "{}").await.is(200);
    let shown = world.as_taker("GET", "/api/v1/workflows/shared", "").await.json();
    assert!(shown["shared_from"]["behind"].as_str().unwrap().contains("`own-task` 1.0.0"), "{shown}");
}

#[tokio::test]
async fn what_is_shared_no_more_stays_readable_and_starts_nothing() {
    let world = World::new().await;
    let copy = world.share("{}").await;
    let execution = world.hook(&copy["id"], "").await.is(200).json()["execution_id"].clone();
    world
        .bench
        .app
        .dispatch
        .outcome(execution.as_str().unwrap().parse().unwrap(), std::time::Duration::from_secs(60))
        .await
        .unwrap();
    world.as_lender("DELETE", "/api/v1/workflows/shared/shares/taker", "").await.is(204);
    world.as_lender("DELETE", "/api/v1/workflows/shared/shares/taker", "").await.is(404);
    world.hook(&copy["id"], "").await.is(404);
    world.as_taker("POST", "/api/v1/workflows/shared/trigger", "{}").await.is(404);
    let path = format!("/api/v1/executions/{}", execution.as_str().unwrap());
    assert_eq!(world.as_taker("GET", &path, "").await.is(200).json()["status"], "succeeded");
    let shown = world.as_taker("GET", "/api/v1/workflows/shared", "").await.is(200).json();
    assert_eq!((&shown["shared_from"]["ended"], &shown["published"]), (&json!(true), &json!({})));
    world.as_lender("POST", "/api/v1/workflows/shared/publish", "{}").await.is(200);
    world.hook(&copy["id"], "").await.is(404);

    // Offered again and accepted again it is the workflow that it was.
    let again = world.share("{}").await;
    assert_eq!(again["id"], copy["id"]);
    world.hook(&copy["id"], "/sync").await.is(200);
    let share = world.as_taker("GET", "/api/v1/shares", "").await.json()["items"][0]["id"].clone();
    world.as_taker("DELETE", &format!("/api/v1/shares/{}", share.as_str().unwrap()), "").await.is(204);
    world.hook(&copy["id"], "").await.is(404);
    assert_eq!(world.as_lender("GET", "/api/v1/workflows/shared/shares", "").await.json()["items"], json!([]));
}
