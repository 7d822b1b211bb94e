//! Putting documents, and looking at workflows and revisions.

use axum::body::Body;
use camshaft_model::json;

use crate::bench::{Bench, ECHO};

#[tokio::test]
async fn a_document_makes_a_workflow_and_only_a_change_makes_a_revision() {
    let bench = Bench::new().await;
    let made = bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(201);
    assert_eq!(made.header("etag"), Some("\"1\""));
    let workflow = made.json();
    assert_eq!(workflow["latest_revision"], 1);
    assert_eq!(workflow["description"], "Says it again");
    assert_eq!(workflow["labels"], json!({"team": "bench"}));
    assert_eq!(workflow["published"], json!({}));
    let trigger = "https://hooks.example/api/v1/workflows/echo-it/trigger";
    assert_eq!(
        workflow["triggers"][1],
        json!({"key": "request", "kind": "request", "enabled": true, "urls": {"trigger": trigger}})
    );
    assert!(workflow["created_at"].as_str().unwrap().ends_with('Z'));

    let again = bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(200).json();
    assert_eq!((&again["latest_revision"], &again["generation"]), (&json!(1), &json!(1)));
    let changed = ECHO.replace("Says it again", "Says it twice");
    let changed = bench.call("PUT", "/api/v1/workflows/echo-it", changed).await.is(200).json();
    assert_eq!((&changed["latest_revision"], &changed["generation"]), (&json!(2), &json!(2)));
    assert_eq!(changed["id"], workflow["id"], "a workflow keeps its id");

    // By id as well as by name.
    let by_id = bench.get(&format!("/api/v1/workflows/{}", workflow["id"].as_str().unwrap())).await;
    assert_eq!(by_id, bench.get("/api/v1/workflows/echo-it").await);
}

#[tokio::test]
async fn a_document_that_means_another_release_now_makes_a_revision() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(201);
    let newer = crate::bench::component("echo", "1.1.0", "task", &[]);
    bench.call("POST", "/api/v1/plugins", newer).await.is(201);
    let put = bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(200).json();
    assert_eq!(put["latest_revision"], 2);
    let pinned = |revision: u32| format!("/api/v1/workflows/echo-it/revisions/{revision}");
    assert_eq!(bench.get(&pinned(1)).await["pins"]["echo@1"]["version"], "1.0.0");
    assert_eq!(bench.get(&pinned(2)).await["pins"]["echo@1"]["version"], "1.1.0");
}

#[tokio::test]
async fn a_json_document_is_as_good_as_yaml() {
    let bench = Bench::new().await;
    let document = json!({"name": "w", "triggers": [{"manual": {}}], "steps": [{"exit": {"status": 204}}]});
    bench.call("PUT", "/api/v1/workflows/w", document.to_string()).await.is(201);
}

#[tokio::test]
async fn revisions_are_listed_newest_first_and_keep_their_documents() {
    let bench = Bench::new().await;
    for n in 1..=3 {
        let status = if n == 1 { 201 } else { 200 };
        let document = ECHO.replace("Says it again", &format!("Number {n}"));
        bench.call("PUT", "/api/v1/workflows/echo-it", document).await.is(status);
    }
    bench.call("POST", "/api/v1/workflows/echo-it/publish", r#"{"revision": 2}"#).await.is(200);
    let page = bench.get("/api/v1/workflows/echo-it/revisions?limit=2").await;
    let numbers: Vec<_> = page["items"].as_array().unwrap().iter().map(|item| item["revision"].clone()).collect();
    assert_eq!(numbers, [json!(3), json!(2)]);
    assert_eq!(page["items"][1]["published"], json!(["production"]));
    let rest = bench.get("/api/v1/workflows/echo-it/revisions?limit=2&after=2").await;
    assert_eq!((rest["items"][0]["revision"].clone(), rest["next"].clone()), (json!(1), json!(null)));
    let first = bench.get("/api/v1/workflows/echo-it/revisions/1").await;
    assert!(first["document"].as_str().unwrap().contains("Number 1"));
    bench
        .call("GET", "/api/v1/workflows/echo-it/revisions/4", Body::empty())
        .await
        .problem(404, &["no revision 4", "3"]);
    bench.call("GET", "/api/v1/workflows/echo-it/revisions/x", Body::empty()).await.problem(400, &["`x`"]);
}

#[tokio::test]
async fn a_faulty_document_is_refused_with_every_fault_and_its_place() {
    let bench = Bench::new().await;
    let faulty =
        "name: w\ntriggers:\n  - manual: {}\nsteps:\n  - id: a\n    task: ecoh@1\n  - id: a\n    tusk: echo@1\n";
    let answer = bench.call("PUT", "/api/v1/workflows/w", faulty).await.problem(422, &[]);
    let faults = answer["diagnostics"].as_array().unwrap();
    assert!(faults.len() >= 2, "{faults:#?}");
    assert!(faults.iter().all(|fault| fault["line"].as_u64().unwrap() > 0 && fault["column"].as_u64().unwrap() > 0));
    assert!(faults.iter().any(|fault| fault["suggestion"] == "echo"), "{faults:#?}");
    for (what, document) in [
        ("no YAML", "name: [w\n"),
        ("unknown key", "name: w\ncolour: red\ntriggers: [{ manual: {} }]\nsteps: [{ exit: {} }]\n"),
        ("no task", "name: w\ntriggers: [{ manual: {} }]\nsteps: [{ task: github@1 }]\n"),
        ("no version", "name: w\ntriggers: [{ manual: {} }]\nsteps: [{ task: echo@9 }]\n"),
        ("bad expression", "name: w\ntriggers: [{ manual: {} }]\nsteps: [{ set: { a: \"{{ $.event. | }}\" } }]\n"),
        ("bad exit", "name: w\ntriggers: [{ manual: {} }]\nsteps: [{ exit: { status: 42 } }]\n"),
        ("nothing", ""),
    ] {
        let answer = bench.call("PUT", "/api/v1/workflows/w", document).await.problem(422, &[]);
        assert!(!answer["diagnostics"].as_array().unwrap().is_empty(), "{what}: {answer:#}");
    }
    bench.call("GET", "/api/v1/workflows/w", Body::empty()).await.problem(404, &["`w`"]);
}

#[tokio::test]
async fn names_bytes_and_sizes_are_checked() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/other", ECHO).await.problem(422, &["`echo-it`", "`other`"]);
    bench.call("PUT", "/api/v1/workflows/No", ECHO).await.problem(400, &["workflow name `No`"]);
    bench.call("PUT", "/api/v1/workflows/w", vec![b'n', 0xff]).await.problem(422, &["byte 1"]);
    bench.call("PUT", "/api/v1/workflows/w", "#".repeat((1 << 20) + 1)).await.problem(413, &["1048576"]);
    bench.call("GET", "/api/v1/workflows?limit=0", Body::empty()).await.problem(400, &["`limit` is 0"]);
    bench.call("GET", "/api/v1/workflows?lim=1", Body::empty()).await.problem(400, &["lim"]);
}

#[tokio::test]
async fn a_change_is_made_only_to_the_generation_that_its_caller_saw() {
    let bench = Bench::new().await;
    bench.call("PUT", "/api/v1/workflows/echo-it", ECHO).await.is(201);
    let changed = ECHO.replace("again", "more");
    let authorization = format!("Bearer {}", crate::bench::ADMIN);
    let put = async |generation: &str| {
        let headers = [("authorization", authorization.as_str()), ("if-match", generation)];
        bench.send("PUT", "/api/v1/workflows/echo-it", &headers, changed.clone()).await
    };
    put("\"7\"").await.problem(412, &["generation is 1, not 7"]);
    put("\"1\"").await.is(200);
    assert_eq!(bench.get("/api/v1/workflows/echo-it").await["generation"], 2);
}

#[tokio::test]
async fn lists_come_in_pages_by_name() {
    let bench = Bench::new().await;
    for name in ["c", "a", "b"] {
        let document = format!("name: {name}\ntriggers: [{{ manual: {{}} }}]\nsteps: [{{ exit: {{}} }}]\n");
        bench.call("PUT", &format!("/api/v1/workflows/{name}"), document).await.is(201);
    }
    let first = bench.get("/api/v1/workflows?limit=2").await;
    assert_eq!((first["items"][0]["name"].clone(), first["next"].clone()), (json!("a"), json!("b")));
    let second = bench.get("/api/v1/workflows?limit=2&after=b").await;
    assert_eq!((second["items"][0]["name"].clone(), second["next"].clone()), (json!("c"), json!(null)));
}
