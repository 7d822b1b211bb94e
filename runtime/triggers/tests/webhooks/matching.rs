//! Which workflows an event starts: subscription, `when`, parameters.

use camshaft_model::json;
use camshaft_model::workflow::{Param, ParamKind, Trigger};

use crate::world::{World, busy, event, failing, name, receipt, type_is, webhook, workflow};

const ALL: &str = "/v1/webhooks/github";

#[tokio::test]
async fn a_when_that_fails_keeps_its_workflow_out_and_no_other() {
    let front = World::default()
        .publish(vec![
            workflow(1, "a", vec![webhook("github", Some(failing()))], vec![]),
            workflow(2, "b", vec![webhook("github", Some(type_is("push")))], vec![]),
            workflow(3, "c", vec![webhook("github", Some(type_is("ping")))], vec![]),
            workflow(4, "d", vec![webhook("github", Some(failing())), webhook("github", None)], vec![]),
            workflow(5, "e", vec![webhook("shop", None)], vec![]),
        ])
        .open();
    assert_eq!(front.post(ALL, &[], "{}").await.status, 200);
    assert_eq!(front.started(), ["b", "d"]);
    let told = front.world.not_started.lock().unwrap().clone();
    let whose: Vec<_> = told.iter().map(|(workflow, trigger, _)| (workflow.as_str(), trigger.as_str())).collect();
    assert_eq!(whose, [("a", "webhook:github"), ("d", "webhook:github")]);
    assert!(told.iter().all(|(_, _, why)| why.starts_with("its `when` failed: ")), "{told:?}");
}

#[tokio::test]
async fn a_when_that_cannot_be_looked_at_now_is_no_no() {
    let front = World::default()
        .publish(vec![
            workflow(1, "a", vec![webhook("github", None)], vec![]),
            workflow(2, "b", vec![webhook("github", Some(busy()))], vec![]),
        ])
        .open();
    let answer = front.post(ALL, &[], "{}").await;
    answer.refused(503, "nothing was started, send it again");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(front.started().is_empty());
}

#[tokio::test]
async fn two_triggers_that_hold_start_a_workflow_once_and_the_first_sets_the_status_of_failure() {
    let trigger = |when, failure_status| Trigger::Webhook { integration: name("github"), when, failure_status };
    let triggers = vec![
        trigger(Some(type_is("ping")), Some(501)),
        trigger(Some(type_is("push")), Some(502)),
        trigger(None, Some(503)),
    ];
    let triage = workflow(1, "triage", triggers, vec![]);
    let front = World::default().publish(vec![triage]).adapter(|_| receipt(vec![event("push"), event("ping")])).open();
    let failed = camshaft_model::outcome::Outcome {
        ending: camshaft_model::outcome::Ending::Failed,
        output: json!(null).into(),
        exit: None,
        failure: None,
        step: None,
    };
    *front.world.outcome.lock().unwrap() = Some(failed.into());
    assert_eq!(front.post("/v1/webhooks/github/workflows/triage/sync", &[], "{}").await.status, 502);
    assert_eq!(front.started(), ["triage", "triage"], "once for each event");
}

#[tokio::test]
async fn where_the_named_workflows_when_does_not_hold_the_delivery_is_ignored_with_success() {
    for end in ["", "/sync"] {
        let triage = workflow(1, "triage", vec![webhook("github", Some(type_is("issues")))], vec![]);
        let front = World::default().publish(vec![triage]).open();
        let answer = front.post(&format!("{ALL}/workflows/triage{end}"), &[], "{}").await;
        let message = "no trigger of workflow `triage` holds for this delivery; nothing was started";
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json(), json!({"status": "ignored", "message": message}));
        assert!(front.started().is_empty());
    }
}

#[tokio::test]
async fn of_a_batch_each_workflow_starts_for_the_events_that_it_wants() {
    let front = World::default()
        .adapter(|_| receipt(vec![event("push"), event("ping"), event("push")]))
        .publish(vec![
            workflow(1, "pushes", vec![webhook("github", Some(type_is("push")))], vec![]),
            workflow(2, "pings", vec![webhook("github", Some(type_is("ping")))], vec![]),
        ])
        .open();
    let answer = front.post(ALL, &[], "{}").await.json();
    assert_eq!(front.started(), ["pushes", "pings", "pushes"]);
    assert_eq!(answer["executions"].as_array().unwrap().len(), 3);
    let types: Vec<_> = front.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types, ["push", "ping", "push"]);
}

#[tokio::test]
async fn parameters_are_their_defaults_and_one_without_keeps_the_workflow_from_webhooks() {
    let param = |name: &str, default| Param {
        name: name.into(),
        kind: ParamKind::Number,
        required: true,
        default,
        description: None,
    };
    let ready = workflow(1, "ready", vec![webhook("github", None)], vec![param("count", Some(json!(33)))]);
    let wants = workflow(2, "wants", vec![webhook("github", None)], vec![param("count", None)]);
    let front = World::default().publish(vec![wants, ready]).open();
    assert_eq!(front.post(ALL, &[], "{}").await.status, 200);
    assert_eq!(front.started(), ["ready"]);
    assert_eq!(*front.world.dispatched.lock().unwrap()[0].starts[0].params, json!({"count": 33}));
    let answer = front.post("/v1/webhooks/github/workflows/wants", &[], "{}").await;
    answer.refused(400, "parameter `count` (number) is missing");
    let told = front.world.not_started.lock().unwrap().clone();
    let missing = ("wants".to_owned(), "webhook:github".to_owned(), "parameter `count` (number) is missing".to_owned());
    assert_eq!(told, [missing.clone(), missing], "once for each URL");
}
