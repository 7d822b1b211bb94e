//! One call of a task: a fresh instance, within its budget, and the right failure whatever the guest does.

use std::time::{Duration, Instant, SystemTime};

use camshaft_model::Value;
use camshaft_model::ids::SecretName;
use camshaft_model::language::template::depth;
use camshaft_model::limits;
use camshaft_model::outcome::{Failure, FailureKind, Usage};
use camshaft_model::seams::{TaskCall, TaskDone};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap};

use crate::bindings::task::exports::camshaft::plugin::task::{
    Context, Failure as GuestFailure, FailureKind as GuestKind,
};
use crate::budget::{Breach, Busy};
use crate::machine::STACK_BYTES;
use crate::registry::Prepared;
use crate::state::{CallState, Caller, HOST_CALL_FUEL};
use crate::{Host, HostError};

/// How a guest call came back.
pub(crate) enum Returned<T> {
    Value(T),
    Trapped(wasmtime::Error),
    OutOfTime,
}

impl Host {
    pub(crate) async fn call_task(&self, call: TaskCall) -> TaskDone {
        let failed = |failure| TaskDone { result: Err(failure), usage: Usage::default(), log: Vec::new() };
        let pre = match self.registry.get(call.plugin.digest).await {
            Ok(Prepared::Task(pre)) => pre,
            Ok(Prepared::Adapter(_)) => {
                let message = format!("`{}` is an adapter, not a task", call.plugin.name);
                return failed(Failure::new(FailureKind::Failed, message));
            }
            Err(error) => return failed(unusable(&error)),
        };
        let caller = Caller {
            plugin: call.plugin.name.clone(),
            workspace: call.workspace.clone(),
            environment: call.environment.clone(),
        };
        let wall = call.timeout.map_or(self.budget.wall, |timeout| timeout.min(self.budget.wall));
        let Ok(_place) = self.places.acquire().await else {
            return failed(Failure::new(FailureKind::Unavailable, "the host is stopping"));
        };
        let mut store = CallState::store(&self.machine, caller, self.budget, &self.permissions);

        let input = match self.input(&call, &mut store) {
            Ok(input) => input,
            Err(failure) => return failed(failure),
        };
        let context = Context {
            execution: call.execution.to_string(),
            step: call.step,
            attempt: call.attempt,
            iteration: call.iteration,
            idempotency_key: call.idempotency_key,
            deadline: deadline(wall),
            workspace: call.workspace.to_string(),
            environment: call.environment.to_string(),
            dry_run: call.dry_run,
        };
        let begun = Instant::now();
        let running = async {
            let instance = pre.instantiate_async(&mut store).await?;
            instance.camshaft_plugin_task().call_run(&mut store, &context, &input).await
        };
        let (returned, cpu) = within(wall, running).await;

        let output = match &returned {
            Returned::Value(Ok(output)) => output.len(),
            _ => 0,
        };
        // Before the judgement: what was printed can go over the log's bound too.
        store.data_mut().log_what_was_printed();
        let result = self.judge(&mut store, returned, wall);
        let state = store.data_mut();
        let usage = Usage {
            wall_us: begun.elapsed().as_micros() as u64,
            cpu_us: cpu.as_micros() as u64,
            memory_bytes: state.meter.memory_peak,
            requests: state.outbound.requests,
            input_bytes: input.len() as u64,
            output_bytes: output as u64,
        };
        TaskDone { result, usage, log: std::mem::take(&mut state.log) }
    }

    /// The input's text, with the secrets in their places and each of them masked from now on.
    fn input(&self, call: &TaskCall, store: &mut Store<CallState>) -> Result<String, Failure> {
        let text = if call.input.secrets.is_empty() {
            serde_json::to_string(&call.input.value)
        } else {
            let value = call.input.resolve(|of, name: &SecretName| {
                let secret = call.secret(&*self.permissions, of, name)?;
                store.data_mut().mask.add_as(&of.mark(name), &secret);
                Ok(secret)
            })?;
            serde_json::to_string(&value)
        };
        let text = text.map_err(|error| Failure::new(FailureKind::InvalidInput, error.to_string()))?;
        let (limit, used) = (self.budget.input_bytes, text.len());
        if used > limit {
            return Err(Breach { bound: "input", limit: limit as u64, used: used as u64, unit: "bytes" }.failure());
        }
        Ok(text)
    }

    /// What the call amounts to.
    fn judge(
        &self,
        store: &mut Store<CallState>,
        returned: Returned<Result<String, GuestFailure>>,
        wall: Duration,
    ) -> Result<Value, Failure> {
        let outside = store.data().outbound.verdict().take();
        let state = store.data();
        let log = state.meter.breach.filter(|breach| breach.bound == "log");
        let result = match returned {
            Returned::Value(_) if let Some(breach) = log => Err(breach.failure()),
            Returned::Value(Ok(output)) => read_output(&output, self.budget.output_bytes),
            // A refusal outside wins over what the guest made of it.
            Returned::Value(Err(failure)) => {
                Err(outside.unwrap_or_else(|| from_guest(failure, self.budget.output_bytes)))
            }
            Returned::Trapped(error) => Err(match state.meter.breach {
                Some(breach) => breach.failure(),
                None => outside.unwrap_or_else(|| trapped(&error)),
            }),
            Returned::OutOfTime => Err(out_of_time(wall)),
        };
        match result {
            Ok(value) => Ok(state.mask.value(value)),
            Err(failure) => Err(Failure {
                message: shorten(state.mask.text(failure.message)),
                details: failure.details.map(|details| state.mask.value(details)),
                ..failure
            }),
        }
    }
}

/// Runs a guest call within a time; tells how long it was on the processor.
pub(crate) async fn within<T>(
    wall: Duration,
    running: impl Future<Output = wasmtime::Result<T>>,
) -> (Returned<T>, Duration) {
    let mut busy = Busy::new(running);
    let returned = match tokio::time::timeout(wall, &mut busy).await {
        Ok(Ok(value)) => Returned::Value(value),
        Ok(Err(error)) => Returned::Trapped(error),
        Err(_) => Returned::OutOfTime,
    };
    (returned, busy.spent())
}

fn read_output(output: &str, limit: usize) -> Result<Value, Failure> {
    if output.len() > limit {
        let used = output.len() as u64;
        return Err(Breach { bound: "output", limit: limit as u64, used, unit: "bytes" }.failure());
    }
    match serde_json::from_str(output) {
        Ok(value) if depth(&value) <= limits::VALUE_DEPTH_MAX => Ok(value),
        Ok(_) => Err(Failure::new(
            FailureKind::Failed,
            format!("the plugin's output is nested deeper than {} levels", limits::VALUE_DEPTH_MAX),
        )),
        Err(error) => Err(Failure::new(FailureKind::Failed, format!("the plugin's output is no JSON: {error}"))),
    }
}

fn from_guest(failure: GuestFailure, limit: usize) -> Failure {
    if let Some(used) = failure.details.as_ref().map(String::len).filter(|used| *used > limit) {
        return Breach { bound: "output", limit: limit as u64, used: used as u64, unit: "bytes" }.failure();
    }
    let (kind, retry_after_ms) = match failure.kind {
        GuestKind::InvalidInput => (FailureKind::InvalidInput, None),
        GuestKind::Failed => (FailureKind::Failed, None),
        GuestKind::Unavailable(after) => (FailureKind::Unavailable, after),
    };
    let details = failure.details.map(|details| match serde_json::from_str(&details) {
        Ok(value) if depth(&value) <= limits::VALUE_DEPTH_MAX => value,
        _ => Value::String(details),
    });
    Failure { retry_after_ms, details, ..Failure::new(kind, failure.message) }
}

/// A trap, in a few words. A guest that recurses without end or hands over too much has broken a bound; others have a bug.
pub(crate) fn trapped(error: &wasmtime::Error) -> Failure {
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::new(FailureKind::Unavailable, "every place for instances is taken; try again");
    }
    let root = error.root_cause().to_string();
    // wasmtime has no public type for this error; a test holds the words against the version in use.
    if root.contains("fuel allocated for hostcalls") {
        let limit = HOST_CALL_FUEL as u64;
        return Breach { bound: "transfer", limit, used: limit, unit: "bytes" }.failure();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            let limit = STACK_BYTES as u64;
            Breach { bound: "stack", limit, used: limit, unit: "bytes" }.failure()
        }
        Some(trap) => Failure::new(FailureKind::Trap, format!("the plugin trapped: {trap}")),
        None => Failure::new(FailureKind::Trap, format!("the plugin was stopped: {root}")),
    }
}

pub(crate) fn out_of_time(wall: Duration) -> Failure {
    Failure::new(FailureKind::Timeout, format!("the call took longer than {wall:?}"))
}

pub(crate) fn unusable(error: &HostError) -> Failure {
    let kind = match error {
        HostError::Store(_) => FailureKind::Unavailable,
        _ => FailureKind::Failed,
    };
    Failure::new(kind, error.to_string())
}

/// At most as long as a failure's message is kept.
pub(crate) fn shorten(message: String) -> String {
    match message.char_indices().find(|(at, letter)| at + letter.len_utf8() > limits::MESSAGE_BYTES_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

/// When a call ends, as its guest sees it: on the machine's clock, which is the one that guests are given.
fn deadline(wall: Duration) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (now + wall).as_millis() as u64
}
