//! Journals, as timelines show them.

use std::sync::Arc;

use camshaft_model::json;
use camshaft_model::language::template::Input;
use camshaft_model::outcome::{Exit, FailureKind, LogLevel};
use camshaft_model::program::BlockAddress;

use super::*;

const ROOT: FrameId = FrameId::ROOT;

fn at(frame: u32, step: u32) -> At {
    At(FrameId(frame), StepAddress(step))
}

fn attempt_started(time: u64, at: At, attempt: u32) -> Entry {
    let input = Arc::new(Input::plain(json!({"n": attempt})));
    Entry::AttemptStarted { time: Timestamp(time), at, attempt, input }
}

fn attempt_ended(time: u64, at: At, attempt: u32, outcome: AttemptOutcome, retry_at: Option<u64>) -> Entry {
    let line = LogLine { after_us: 3, level: LogLevel::Info, message: "hello".into(), fields: Default::default() };
    Entry::AttemptEnded {
        time: Timestamp(time),
        at,
        attempt,
        outcome,
        retry_at: retry_at.map(Timestamp),
        usage: Usage { wall_us: 5, ..Usage::default() },
        log: vec![line],
    }
}

fn ended(time: u64, ending: Ending, exit: Option<Exit>, step: Option<&str>) -> Entry {
    let outcome = Outcome {
        ending,
        output: Arc::new(json!({"status": 201})),
        exit,
        failure: None,
        step: step.map(str::to_owned),
    };
    Entry::Ended { time: Timestamp(time), outcome: Arc::new(outcome) }
}

fn unavailable() -> AttemptOutcome {
    AttemptOutcome::Failed(Failure::new(FailureKind::Unavailable, "gone"))
}

#[test]
fn attempts_gather_under_their_step_with_log_use_and_the_time_of_the_next() {
    let task = At(ROOT, StepAddress(0));
    let entries = [attempt_started(10, task, 1), attempt_ended(15, task, 1, unavailable(), Some(100))];
    let waiting = fold(None, &entries);
    assert_eq!(waiting.steps[0].status, Stage::Waiting);
    assert_eq!(waiting.steps[0].attempts[0].retry_at.as_deref(), Some("1970-01-01T00:00:00.000Z"));

    let more = [
        attempt_started(100, task, 2),
        attempt_ended(110, task, 2, AttemptOutcome::Succeeded(Arc::new(json!(7))), None),
    ];
    let done = fold(None, entries.iter().chain(&more));
    let step = &done.steps[0];
    assert_eq!((step.path.as_str(), step.status, step.duration_us), ("#0", Stage::Succeeded, Some(100)));
    assert_eq!(step.output, Some(json!(7)));
    assert_eq!(step.attempts.len(), 2);
    assert_eq!(step.attempts[0].status, Stage::Failed);
    assert_eq!(step.attempts[1].log[0].message, "hello");
    assert_eq!(step.attempts[1].usage.unwrap().wall_us, 5);
}

#[test]
fn turns_of_a_loop_are_steps_of_their_own() {
    let entered =
        |index| Entry::Entered { time: Timestamp(1), at: at(0, 0), block: BlockAddress(1), part: Part::Turn(index) };
    let task = |frame| attempt_started(2, at(frame, 1), 1);
    let timeline = fold(None, &[entered(0), task(1), entered(1), task(2)]);
    let turns: Vec<_> = timeline.steps.iter().map(|step| (step.depth, step.iteration.clone())).collect();
    assert_eq!(turns, [(0, vec![]), (1, vec![0]), (1, vec![1])]);
}

#[test]
fn an_exit_is_a_step_and_ends_what_is_around_it() {
    let entered = Entry::Entered { time: Timestamp(1), at: at(0, 0), block: BlockAddress(1), part: Part::Body };
    let exit = Some(Exit { status: 201, headers: vec![] });
    let timeline = fold(None, &[entered, ended(9, Ending::Failed, exit, Some("0.then.0"))]);
    assert_eq!(timeline.steps[0].status, Stage::Succeeded);
    assert_eq!((timeline.steps[1].kind.as_str(), timeline.steps[1].path.as_str()), ("exit", "0.then.0"));
    assert_eq!((timeline.steps[0].depth, timeline.steps[1].depth), (0, 1));
    assert_eq!(timeline.steps[1].output, Some(json!({"status": 201})));
    assert!(timeline.outcome.is_some());
}

#[test]
fn what_a_cancelled_execution_leaves_open_is_cancelled_and_the_rest_stays() {
    let skipped = Entry::StepEnded { time: Timestamp(2), at: at(0, 0), outcome: StepOutcome::Skipped, go_on: false };
    let set = Entry::VariablesSet { time: Timestamp(3), at: at(0, 1), values: Default::default() };
    let entries = [skipped, set, attempt_started(4, at(0, 2), 1), ended(9, Ending::Cancelled, None, None)];
    let timeline = fold(None, &entries);
    let stages: Vec<_> = timeline.steps.iter().map(|step| step.status).collect();
    assert_eq!(stages, [Stage::Skipped, Stage::Succeeded, Stage::Cancelled]);
    assert_eq!(timeline.steps[2].attempts[0].status, Stage::Cancelled);
}

#[test]
fn a_failure_is_on_its_attempt_and_on_its_step() {
    let task = at(0, 0);
    let failure = Failure::new(FailureKind::Failed, "no");
    let failed = StepOutcome::Failed(failure.clone());
    let entries = [
        attempt_started(1, task, 1),
        attempt_ended(5, task, 1, AttemptOutcome::Failed(failure.clone()), None),
        Entry::StepEnded { time: Timestamp(5), at: task, outcome: failed, go_on: true },
    ];
    let step = &fold(None, &entries).steps[0];
    assert_eq!((step.status, step.failure.as_ref()), (Stage::Failed, Some(&failure)));
    assert_eq!(step.attempts[0].failure.as_ref(), Some(&failure));
}
