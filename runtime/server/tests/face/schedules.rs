//! Schedules over the management API: what is told of them, page by page, and of those that there are not yet.

use axum::body::Body;
use camshaft_model::{Value, json};

use crate::bench::Bench;

const DOCUMENT: &str = "name: nightly
triggers:
  - schedule: { cron: '0 9 * * MON-FRI', timezone: Europe/Berlin, missed: all, overlap: queue, jitter: 90s }
  - schedule: { every: 15m }
  - schedule: { at: '2099-12-24T18:00:00' }
  - manual:
steps: [ { set: { x: 1 } } ]
";

/// `nightly/production/schedule#2`
fn keys(page: &Value) -> Vec<String> {
    let key = |item: &Value| ["workflow", "environment", "trigger"].map(|key| item[key].as_str().unwrap().to_owned());
    page["items"].as_array().unwrap().iter().map(|item| key(item).join("/")).collect()
}

fn all_of(place: &str) -> [String; 3] {
    ["schedule", "schedule#2", "schedule#3"].map(|key| format!("{place}/{key}"))
}

#[tokio::test]
async fn each_schedule_is_told_with_its_next_times() {
    let bench = Bench::new().await;
    bench.publish("nightly", DOCUMENT).await;
    let page = bench.get("/api/v1/schedules?next=2").await;
    assert_eq!(keys(&page), all_of("nightly/production"));
    let [cron, every, at] = page["items"].as_array().unwrap().as_slice() else { panic!("{page:#}") };
    assert_eq!(
        (&cron["cron"], &cron["timezone"], &cron["enabled"]),
        (&json!("0 9 * * MON-FRI"), &json!("Europe/Berlin"), &json!(true))
    );
    assert_eq!((&cron["missed"], &cron["overlap"], &cron["jitter_s"]), (&json!("all"), &json!("queue"), &json!(90.0)));
    assert_eq!(cron["next"].as_array().unwrap().len(), 2);
    assert!(cron["next"][0]["local"].as_str().unwrap().contains("T09:00:00+0"), "{cron:#}");
    assert_eq!((&every["every"], &every["last"]), (&json!("15m"), &Value::Null));
    assert_eq!(at["next"], json!([{"due": "2099-12-24T18:00:00.000Z", "local": "2099-12-24T18:00:00+00:00"}]));
}

#[tokio::test]
async fn a_schedule_that_is_switched_off_is_due_never() {
    let bench = Bench::new().await;
    bench.publish("nightly", DOCUMENT).await;
    let switch = "/api/v1/workflows/nightly/triggers/schedule%232";
    bench.call("PATCH", switch, r#"{"enabled": false}"#).await.is(200);
    let triggers = bench.get("/api/v1/workflows/nightly/triggers").await;
    assert_eq!((&triggers["items"][1]["next_at"], &triggers["items"][1]["urls"]), (&Value::Null, &json!({})));
    assert_eq!(triggers["items"][2]["next_at"], "2099-12-24T18:00:00.000Z");
    let page = bench.get("/api/v1/schedules").await;
    let off = &page["items"][1];
    assert_eq!((&off["enabled"], &off["next"]), (&json!(false), &json!([])));
    assert_eq!(page["items"][0]["enabled"], true);
}

#[tokio::test]
async fn pages_and_filters_find_every_schedule_once() {
    let bench = Bench::new().await;
    for name in ["a", "a-b", "b"] {
        bench.publish(name, &DOCUMENT.replace("nightly", name)).await;
    }
    bench.call("PUT", "/api/v1/environments/staging", "{}").await;
    bench.call("POST", "/api/v1/workflows/a/publish", r#"{"environment": "staging"}"#).await.is(200);
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = bench.get(&format!("/api/v1/schedules?limit=2{after}")).await;
        found.extend(keys(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", next.replace('#', "%23")),
            None => break,
        }
    }
    assert_eq!(found, ["a/production", "a/staging", "a-b/production", "b/production"].map(all_of).concat());
    assert_eq!(keys(&bench.get("/api/v1/schedules?workflow=a-b").await), all_of("a-b/production"));
    assert_eq!(keys(&bench.get("/api/v1/schedules?environment=staging").await), all_of("a/staging"));
    bench.call("GET", "/api/v1/schedules?workflow=c", Body::empty()).await.problem(404, &["`c`"]);
    bench.call("GET", "/api/v1/schedules?next=101", Body::empty()).await.problem(400, &["`next` is 101"]);
}

#[tokio::test]
async fn a_schedule_that_there_is_not_yet_is_previewed() {
    let bench = Bench::new().await;
    let path = "/api/v1/schedules/preview?cron=0%209%20*%20*%20MON-FRI&timezone=Europe/Berlin&after=2026-11-21T00:00:00Z&next=1";
    assert_eq!(
        bench.get(path).await,
        json!({"next": [{"due": "2026-11-23T08:00:00.000Z", "local": "2026-11-23T09:00:00+01:00"}]})
    );
    let bad = "/api/v1/schedules/preview?every=15m&timezone=Europe/Berln";
    bench.call("GET", bad, Body::empty()).await.problem(400, &["`Europe/Berln`", "did you mean `Europe/Berlin`?"]);
}

#[tokio::test]
async fn what_became_of_firings_is_counted() {
    let bench = Bench::new().await;
    let metrics = bench.call("GET", "/metrics", Body::empty()).await.is(200).text();
    assert!(metrics.contains("camshaft_schedule_firings_total{became=\"started\"} 0"), "{metrics}");
}
