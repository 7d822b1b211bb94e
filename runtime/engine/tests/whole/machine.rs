//! The smallest world that `decide` and `State::apply` can run in: no engine, no disk, no threads. Whatever the world has ready
//! is handed in one by one, in an order that a seed chooses; time passes only when there is nothing else to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camshaft_engine::decide::{Action, Call, decide, failed, next_due, resume, settle};
use camshaft_model::entry::{At, Awaited, Entry, FrameId, Part};
use camshaft_model::ids::{ExecutionId, Name};
use camshaft_model::outcome::{AttemptOutcome, Failure, FailureKind, StepOutcome};
use camshaft_model::program::{Join, Program, StepAddress, StepKind};
use camshaft_model::state::{Leaving, Stage, State, TryPart};
use camshaft_model::time::Timestamp;
use camshaft_model::{Map, Value, json};

use crate::generate::{Chance, hash};
use crate::world::NativeJq;

/// Entries of a journal that no program of ours should need.
const ENTRIES_MAX: usize = 5_000;

/// What steps put out, by their address and the turns around them.
pub type Outputs = BTreeMap<(Vec<u32>, StepAddress), Value>;

pub struct Machine<'a> {
    program: &'a Program,
    seed: u64,
    pub state: State,
    pub journal: Vec<Entry>,
    pub outputs: Outputs,
    now: Timestamp,
    order: Chance,
    calls: BTreeMap<At, (Timestamp, Call)>,
    emits: BTreeSet<At>,
    /// Events from outside that have not been sent; all at once and first of all where nothing may hang on when.
    outside: Vec<Value>,
    is_wild: bool,
}

/// How a call ends: a matter of the step, its turns, its attempt and the hour, so that one that is made again ends the same.
pub fn result(seed: u64, path: &str, turns: &[u32], attempt: u32, hour: u64, input: &Value) -> Result<Value, Failure> {
    let number = hash(seed, &format!("{path}/{turns:?}/{attempt}/{hour}"));
    match number % 4 {
        0 if path.starts_with("ko") => Err(Failure::new(FailureKind::Unavailable, format!("{path} is not there"))),
        1 if path.starts_with("ko") => Err(Failure::new(FailureKind::Failed, format!("{path} failed"))),
        _ => Ok(json!({ "step": path, "input": hash(0, &timeless(input.clone()).to_string()) % 1_000 })),
    }
}

/// Whether a person says yes, no, or nothing.
pub fn answer(seed: u64, path: &str, turns: &[u32]) -> Option<bool> {
    match hash(seed, &format!("{path}/{turns:?}/answer")) % 3 {
        _ if path.starts_with("ok") => Some(true),
        0 => Some(true),
        1 => Some(false),
        _ => None,
    }
}

/// The hour since the beginning, rounded, so that milliseconds do not count.
pub fn hour(accepted_at: Timestamp, now: Timestamp) -> u64 {
    (now.since(accepted_at).as_secs() + 1_800) / 3_600
}

pub fn events() -> Vec<Value> {
    (0..3)
        .map(|n| {
            json!({"id": n.to_string(), "type": "out", "topic": "out", "source": "/outside", "subject": null,
                "time": "1970-01-12T13:46:40Z", "data": n})
        })
        .collect()
}

impl<'a> Machine<'a> {
    /// A world in which this much of a journal is on disk.
    pub fn on(program: &'a Program, seed: u64, order: u64, is_wild: bool, journal: &[Entry]) -> Result<Self, String> {
        let first = journal.first().ok_or("a journal is not empty")?;
        let state = State::begin(first).map_err(|illegal| illegal.to_string())?;
        let mut machine = Self {
            program,
            seed,
            now: state.accepted_at,
            state,
            journal: vec![first.clone()],
            outputs: Outputs::new(),
            order: Chance(order),
            calls: BTreeMap::new(),
            emits: BTreeSet::new(),
            outside: events(),
            is_wild,
        };
        for entry in &journal[1..] {
            machine.now = entry.time();
            machine.record(entry.clone())?;
        }
        Ok(machine)
    }

    /// Runs to the end.
    pub fn run(&mut self) -> Result<(), String> {
        let resumed = resume(self.program, &self.state, self.now);
        self.carry_out(resumed)?;
        while !self.is_wild && !self.outside.is_empty() {
            self.send()?;
        }
        loop {
            let mut actions = decide(self.program, &self.state, self.now, &NativeJq);
            actions.retain(|action| !matches!(action, Action::Emit { at, .. } if self.emits.contains(at)));
            if !actions.is_empty() {
                self.carry_out(actions)?;
                continue;
            }
            if self.state.outcome.is_some() {
                return Ok(());
            }
            if !self.one_thing()? {
                let due = next_due(self.program, &self.state).ok_or("it waits for nothing")?;
                if due <= self.now {
                    return Err(format!("it was due at {due} and does nothing at {}", self.now));
                }
                self.now = due;
            }
        }
    }

    fn record(&mut self, entry: Entry) -> Result<(), String> {
        self.note(&entry);
        self.lawful(&entry)?;
        self.state.apply(&entry).map_err(|illegal| illegal.to_string())?;
        self.check().map_err(|why| format!("after {entry:?}: {why}"))?;
        self.journal.push(entry);
        if self.journal.len() > ENTRIES_MAX {
            return Err(format!("it does not come to an end within {ENTRIES_MAX} entries"));
        }
        Ok(())
    }

    /// Keeps what steps put out, but for the times in it, which a crash may move.
    fn note(&mut self, entry: &Entry) {
        let (at, output) = match entry {
            Entry::AttemptEnded { at, outcome: AttemptOutcome::Succeeded(output), .. } => (at, (**output).clone()),
            Entry::StepEnded { at, outcome: StepOutcome::Succeeded(output), .. } => (at, (**output).clone()),
            Entry::VariablesSet { at, values, .. } => (at, Value::Object((**values).clone())),
            Entry::StepEnded { at, outcome: StepOutcome::Failed(failure), .. } => (at, json!(failure.kind)),
            _ => return,
        };
        self.outputs.insert((self.state.turns(at.0), at.1), timeless(output));
    }

    fn carry_out(&mut self, actions: Vec<Action>) -> Result<(), String> {
        for action in actions {
            if self.state.outcome.is_some() {
                return Ok(());
            }
            match action {
                Action::Record(entry) => self.record(entry)?,
                Action::Call { entry, call } => {
                    entry.map_or(Ok(()), |entry| self.record(entry))?;
                    self.calls.insert(call.at, (self.now, call));
                }
                Action::StartChild { at, workflow, params, waits } => self.start_child(at, workflow, &params, waits)?,
                Action::Emit { at, .. } => drop(self.emits.insert(at)),
            }
        }
        Ok(())
    }

    fn key(&self, at: At) -> (&'a str, Vec<u32>) {
        (&self.program.step(at.1).path, self.state.turns(at.0))
    }

    fn start_child(&mut self, at: At, workflow: Name, params: &Value, waits: bool) -> Result<(), String> {
        let (path, turns) = self.key(at);
        let id = u128::from(hash(self.seed, &format!("{path}/{turns:?}/child/{params}")));
        let execution = ExecutionId::from_bytes(id.to_be_bytes());
        let time = self.now;
        if hash(self.seed, &format!("{path}/{turns:?}/refused")).is_multiple_of(8) && path.starts_with("ko") {
            let failure = Failure::new(FailureKind::Unavailable, "there is no room");
            let entry = failed(self.program, &self.state, at, failure, time, &NativeJq);
            return self.record(entry);
        }
        self.record(match waits {
            true => Entry::WaitStarted { time, at, awaited: Awaited::Child { execution, workflow }, until: None },
            false => {
                let output = Arc::new(json!({"execution": execution.to_string(), "workflow": workflow.as_str()}));
                Entry::StepEnded { time, at, outcome: StepOutcome::Succeeded(output), go_on: false }
            }
        })
    }

    /// Hands in one of the things that the world has ready. False where there is none.
    fn one_thing(&mut self) -> Result<bool, String> {
        let state = &self.state;
        let attempts = |at: &At, call: &Call| {
            state
                .open
                .get(at)
                .is_some_and(|open| matches!(open.stage, Stage::Attempting { .. }) && open.attempt == call.attempt)
        };
        self.calls.retain(|at, (_, call)| attempts(at, call));
        self.emits.retain(|at| state.open.get(at).is_some_and(|open| matches!(open.stage, Stage::Emitting { .. })));
        let mut ready: Vec<At> = self.calls.keys().chain(&self.emits).copied().collect();
        let claims = state.locks();
        let mut lines: BTreeMap<&str, (bool, Timestamp, At)> = BTreeMap::new();
        for claim in &claims {
            let place = (!claim.held, claim.since, claim.at);
            let first = lines.entry(&claim.key).or_insert(place);
            *first = place.min(*first);
        }
        ready.extend(lines.values().filter(|(waits, ..)| *waits).map(|(.., at)| *at));
        for (at, open) in &state.open {
            match &open.stage {
                Stage::Waiting { awaited: Awaited::Child { .. }, .. } => ready.push(*at),
                Stage::Waiting { awaited: Awaited::Approval { .. }, .. } => {
                    let (path, turns) = self.key(*at);
                    ready.extend(answer(self.seed, path, &turns).map(|_| *at));
                }
                _ => {}
            }
        }
        let choices = ready.len() + usize::from(!self.outside.is_empty());
        if choices == 0 {
            return Ok(false);
        }
        match ready.get(self.order.below(choices)) {
            Some(at) => self.happen(*at)?,
            None => self.send()?,
        }
        Ok(true)
    }

    fn happen(&mut self, at: At) -> Result<(), String> {
        let time = self.now;
        let (path, turns) = self.key(at);
        let open = &self.state.open[&at];
        let entry = match &open.stage {
            Stage::Attempting { .. } => {
                let (began, call) = self.calls.remove(&at).ok_or("the call was made")?;
                let hour = hour(self.state.accepted_at, began);
                let result = result(self.seed, path, &turns, call.attempt, hour, &call.input.value);
                settle(&self.state, at, call.attempt, self.program.step(at.1), result, time)
            }
            Stage::Emitting { event } => {
                let event = event.clone();
                self.receive((*event).clone())?;
                self.emits.remove(&at);
                Entry::StepEnded { time, at, outcome: StepOutcome::Succeeded(event), go_on: false }
            }
            Stage::Waiting { awaited: Awaited::Lock { .. }, .. } => Entry::LockTaken { time, at },
            Stage::Waiting { awaited: Awaited::Child { .. }, .. } => {
                let began = hour(self.state.accepted_at, open.since);
                let outcome = match result(self.seed, path, &turns, open.attempt, began, &Value::Null) {
                    Ok(output) => AttemptOutcome::Succeeded(Arc::new(output)),
                    Err(failure) => AttemptOutcome::Failed(failure),
                };
                Entry::ChildEnded { time, at, outcome }
            }
            Stage::Waiting { awaited: Awaited::Approval { .. }, .. } => {
                let approved = answer(self.seed, path, &turns).ok_or("somebody answers")?;
                Entry::ApprovalGiven { time, at, approved, by: "ops".into(), comment: None }
            }
            stage => return Err(format!("nothing of the world's makes {stage:?} go on")),
        };
        self.record(entry)
    }

    fn send(&mut self) -> Result<(), String> {
        let event = self.outside.remove(0);
        self.receive(event)
    }

    fn receive(&mut self, event: Value) -> Result<(), String> {
        let topic = event["topic"].as_str().unwrap_or_default().to_owned();
        if self.state.inbox.knows(&event) || !self.program.topics().any(|heard| heard == topic) {
            return Ok(());
        }
        self.record(Entry::EventReceived { time: self.now, topic, event: Arc::new(event) })
    }

    /// What the language says of an entry, in whatever order things happen.
    fn lawful(&self, entry: &Entry) -> Result<(), String> {
        let stage = |at: &At| self.state.open.get(at).map(|open| &open.stage);
        match entry {
            Entry::Entered { at, part: Part::Catch(_), .. } => match stage(at) {
                Some(Stage::Trying(trying)) if self.left_by_failure(trying.frame) => Ok(()),
                _ => Err(format!("`catch` of {at:?} follows no failure")),
            },
            Entry::StepEnded { at, outcome, .. } => {
                let step = self.program.step(at.1);
                let is_late =
                    |failure: &Failure| failure.kind == FailureKind::Timeout && failure.message.contains("its limit");
                match (&step.kind, stage(at), outcome) {
                    (_, _, StepOutcome::Failed(failure)) if is_late(failure) => Ok(()),
                    (StepKind::Try(step), Some(Stage::Trying(trying)), _)
                        if step.finally.is_some() && trying.part != TryPart::Finally =>
                    {
                        Err(format!("{at:?} has ended without its `finally`"))
                    }
                    (StepKind::ForEach(_), Some(Stage::Looping(looping)), StepOutcome::Succeeded(output))
                        if output.as_array().map(Vec::len) != Some(looping.items.len()) =>
                    {
                        Err(format!("{at:?} has put out {output}"))
                    }
                    (StepKind::Parallel(step), Some(_), StepOutcome::Succeeded(output)) => {
                        let expected = if step.join == Join::Any { 1 } else { step.branches.len() };
                        let found = output.as_object().map(Map::len);
                        if found == Some(expected) { Ok(()) } else { Err(format!("{at:?} has put out {output}")) }
                    }
                    (StepKind::Repeat(step), Some(Stage::Repeating(repeating)), StepOutcome::Succeeded(_))
                        if repeating.ended == 0 || repeating.ended > step.at_most =>
                    {
                        Err(format!("{at:?} has had {} turns", repeating.ended))
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn left_by_failure(&self, frame: FrameId) -> bool {
        let left = self.state.frames.get(&frame).and_then(|frame| frame.leaving.as_ref());
        matches!(left, Some(Leaving::Failed { .. }))
    }

    /// What holds of every state between two entries.
    pub fn check(&self) -> Result<(), String> {
        let (program, state) = (self.program, &self.state);
        let mut inside = BTreeSet::new();
        let mut held = BTreeSet::new();
        for (at, open) in &state.open {
            let frame = state.frames.get(&at.0).ok_or_else(|| format!("{at:?} is open in a frame that is not"))?;
            if program.block(frame.block).get(frame.next as usize) != Some(&at.1) || frame.leaving.is_some() {
                return Err(format!("{at:?} is open and is not where its frame has got to"));
            }
            for inner in open.stage.frames() {
                let owner = state.frames.get(&inner).ok_or_else(|| format!("{inner:?} of {at:?} is not open"))?.owner;
                if owner != Some(*at) || !inside.insert(inner) {
                    return Err(format!("{inner:?} belongs to {at:?} and to {owner:?}"));
                }
            }
            match (&open.stage, &program.step(at.1).kind) {
                (Stage::Looping(looping), StepKind::ForEach(step))
                    if looping.frames.len() > step.concurrency as usize =>
                {
                    return Err(format!("{} turns of {at:?} run at once", looping.frames.len()));
                }
                (Stage::Locked { key, .. }, _) if !held.insert(key) => {
                    return Err(format!("`{key}` is held twice"));
                }
                _ => {}
            }
        }
        if state.outcome.is_none() && inside.len() + 1 != state.frames.len() {
            return Err(format!("{} frames belong to nobody", state.frames.len() - 1 - inside.len()));
        }
        Ok(())
    }
}

/// A value without what a crash may change in it: when an event was sent, when an answer was given, the id of a child.
pub fn timeless(mut value: Value) -> Value {
    match &mut value {
        Value::Object(map) => {
            map.retain(|key, _| !["time", "at", "execution"].contains(&key.as_str()));
            map.values_mut().for_each(|inner| *inner = timeless(inner.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| *inner = timeless(inner.take())),
        _ => {}
    }
    value
}
