//! When the time of an execution or a step is over, and whose limit that is.

use std::time::Duration;

use camshaft_model::invocation::TimeLimit;
use camshaft_model::limits;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::program::{Program, Step, StepKind};
use camshaft_model::seams::Limited;
use camshaft_model::state::{Open, Stage, State};
use camshaft_model::time::Timestamp;

/// When to decide again though nothing has happened: the next retry or turn, the end of a wait, of a step's or the
/// execution's time.
pub fn next_due(program: &Program, state: &State) -> Option<Timestamp> {
    let dropped = state.queued_at.filter(|_| state.started_at.is_none()).map(|queued| queued.plus(limits::QUEUED_MAX));
    [state.next_due(), next_end(program, state), dropped].into_iter().flatten().min()
}

/// When the time of a step or of the execution is over, whatever else there is to do.
pub fn next_end(program: &Program, state: &State) -> Option<Timestamp> {
    let end =
        state.started_at.filter(|_| state.outcome.is_none()).map(|started| started.plus(time_limit(program, state)));
    let steps = state.open.iter().filter_map(|(at, open)| deadline(program.step(at.1), open));
    end.into_iter().chain(steps).min()
}

/// When a step that is no task has taken too long. A task's time is its attempt's, and the host's to watch.
pub(super) fn deadline(step: &Step, open: &Open) -> Option<Timestamp> {
    match (&step.kind, &open.stage) {
        (StepKind::Task(_), _) | (_, Stage::Retrying { .. } | Stage::Settled(_)) => None,
        _ => step.timeout.map(|timeout| open.since.plus(timeout)),
    }
}

/// How long an execution may take: as its workflow says, or as what bounded it closer when it was accepted.
pub(super) fn time_limit(program: &Program, state: &State) -> Duration {
    state.invocation.time_limit.as_ref().map_or(program.timeout, TimeLimit::limit)
}

/// What an execution fails with that took longer.
pub(super) fn out_of_time(program: &Program, state: &State) -> Failure {
    let whose = match state.invocation.time_limit.as_ref().map(|limit| &limit.of) {
        None | Some(Limited::Workflow) => "`limits.timeout` of its workflow".to_owned(),
        Some(Limited::Workspace(workspace)) => format!("workspace `{workspace}`"),
        Some(Limited::Instance) => "this server".to_owned(),
    };
    let limit = time_limit(program, state);
    Failure::new(FailureKind::Timeout, format!("the execution took longer than {whose} allows: {limit:?}"))
}

/// The time that an attempt of a step may take: its own, and what is left of the execution's.
pub(super) fn remaining(program: &Program, state: &State, step: &Step, now: Timestamp) -> Option<Duration> {
    let end = state.started_at.map(|started| started.plus(time_limit(program, state)).since(now));
    [step.timeout, end].into_iter().flatten().min()
}
