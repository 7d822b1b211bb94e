//! An execution as an activity of Boomerang Flow. Pure. Its two documents spell some fields differently, so both are there.

use std::collections::BTreeMap;

use camshaft_model::invocation::TriggerSource;
use camshaft_model::summary::Status;
use camshaft_model::{Map, Value, json};

use crate::api::executions::Inspected;
use crate::api::timeline::{Stage, StepView};

/// The activity.
pub(super) fn shown(inspected: &Inspected, team: &str) -> Value {
    let summary = &inspected.summary;
    let activity = summary.id.to_string();
    let workflow = summary.revision.workflow_id.to_string();
    let revision = format!("{workflow}/{}", summary.revision.revision);
    let until = summary.ended_at.unwrap_or(summary.updated_at);
    let steps = inspected.timeline.steps.iter().zip(1..).map(|(step, order)| task(step, order, &activity));
    json!({
        "creationDate": date(&summary.accepted_at.to_string()),
        "duration": millis(until.since(summary.accepted_at).as_micros()),
        "id": activity,
        "status": word(summary.status),
        "workflowId": workflow,
        "WorkflowId": workflow,
        "workflowRevisionid": revision,
        "WorkflowRevisionid": revision,
        "workflowName": summary.revision.workflow,
        "trigger": trigger(&summary.trigger),
        "teamName": team,
        "steps": steps.collect::<Vec<_>>(),
    })
}

fn task(step: &StepView, order: usize, activity: &str) -> Value {
    let turns: String = step.iteration.iter().map(|turn| format!("[{turn}]")).collect();
    let name = step.name.as_ref().or(step.id.as_ref()).unwrap_or(&step.path);
    let outputs = outputs(step.output.as_ref());
    let results = outputs.iter().map(|(name, value)| json!({"name": name, "description": "", "value": value}));
    json!({
        "activityId": activity,
        "id": format!("{}{turns}", step.path),
        "order": order,
        "startTime": date(&step.started_at),
        "duration": step.duration_us.map_or(0, |us| millis(us.into())),
        "flowTaskStatus": stage_word(step.status),
        "taskId": step.path,
        "TaskId": step.path,
        "taskName": name,
        "TaskName": name,
        "taskType": kind(&step.kind),
        "results": results.collect::<Vec<_>>(),
        "outputs": outputs,
        "error": step.failure.as_ref().map(|failure| json!({"code": failure.kind, "message": failure.message})),
    })
}

/// Every value as a text, as Boomerang has them.
fn outputs(output: Option<&Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = |fields: &Map<String, Value>| fields.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    match output {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(fields)) => pairs(fields),
        Some(other) => BTreeMap::from([("output".to_owned(), text(other))]),
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Accepted | Status::Queued => "notstarted",
        Status::Running => "inProgress",
        Status::Waiting => "waiting",
        Status::Succeeded => "completed",
        Status::Failed | Status::TimedOut => "failure",
        Status::Cancelled => "cancelled",
        Status::Dropped => "invalid",
    }
}

fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Running => "inProgress",
        Stage::Waiting => "waiting",
        Stage::Succeeded | Stage::Kept => "completed",
        Stage::Failed => "failure",
        Stage::Skipped => "skipped",
        Stage::Cancelled => "cancelled",
    }
}

fn trigger(source: &TriggerSource) -> &'static str {
    match source.word() {
        "manual" => "manual",
        "schedule" => "scheduler",
        "webhook" | "request" => "webhook",
        _ => "custom",
    }
}

/// Boomerang's word for a kind of step, where it has one.
fn kind(kind: &str) -> &str {
    match kind {
        "task" => "template",
        "if" | "switch" => "decision",
        "wait" => "eventwait",
        "lock" => "acquirelock",
        "workflow" => "runworkflow",
        "set" => "setwfproperty",
        other => other,
    }
}

/// `2019-12-04T20:47:27.394+0000`
fn date(rfc3339: &str) -> String {
    rfc3339.strip_suffix('Z').map_or_else(|| rfc3339.to_owned(), |time| format!("{time}+0000"))
}

fn millis(us: u128) -> u64 {
    u64::try_from(us / 1000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use camshaft_model::time::Timestamp;

    use super::*;

    #[test]
    fn times_and_values_are_written_as_boomerang_writes_them() {
        assert_eq!(date(&Timestamp(1_575_492_447_394_000).to_string()), "2019-12-04T20:47:27.394+0000");
        let output = json!({"text": "as it is", "number": 7, "list": ["a", 1], "nothing": null});
        let pairs: Vec<_> = outputs(Some(&output)).into_iter().collect();
        let expected = [("list", "[\"a\",1]"), ("nothing", "null"), ("number", "7"), ("text", "as it is")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(outputs(Some(&json!("alone")))["output"], "alone");
        assert!(outputs(None).is_empty() && outputs(Some(&Value::Null)).is_empty());
    }

    #[test]
    fn every_status_has_one_of_boomerang_s_words() {
        let known = ["notstarted", "inProgress", "waiting", "completed", "failure", "cancelled", "invalid", "skipped"];
        assert!(Status::ALL.into_iter().all(|status| known.contains(&word(status))));
    }
}
