//! What a fresh instance costs: `cargo run --release -p camshaft-host --example instance -- [CALLS] [COMPONENT]`, once
//! `cargo xtask plugins` has run; the component is `target/plugins/echo.wasm` where none is named.
//!
//! Calls the task `echo` as the engine does, each time in an instance of its own. Printed: how long a call takes, and how
//! many more two threads make in a second than one. The machine should have nothing else to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use camshaft_host::{Components, Host, HostConfig, digest};
use camshaft_model::ids::{Digest, ExecutionId, Name, SecretName};
use camshaft_model::json;
use camshaft_model::language::template::Input;
use camshaft_model::limits::Budget;
use camshaft_model::plugin::{Grant, PluginPin};
use camshaft_model::seams::{Permissions, Plugins, StoreError, TaskCall};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime;

/// The one component there is. It is granted nothing.
struct Echo(Vec<u8>);

impl Components for Echo {
    fn bytes(&self, _: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        async { Ok(Some(self.0.clone())) }.boxed()
    }
}

impl Permissions for Echo {
    fn grant(&self, _: &Name, _: &Name) -> Arc<Grant> {
        Arc::default()
    }

    fn secret(&self, _: &Name, _: &Name, _: &SecretName) -> Option<String> {
        None
    }
}

fn main() {
    let calls: usize = std::env::args().nth(1).map_or(20_000, |text| text.parse().expect("CALLS is a number"));
    let file = std::env::args().nth(2).unwrap_or_else(|| "target/plugins/echo.wasm".to_owned());
    let bytes = std::fs::read(&file).expect("`cargo xtask plugins` has built the task `echo`");
    let call = call(digest(&bytes));
    let echo = Arc::new(Echo(bytes));
    let config = HostConfig {
        cache_dir: None,
        cache_key: [0; 32],
        budget: Budget::default(),
        instances_max: 16,
        stand_in: None,
    };
    let host = Host::new(config, echo.clone(), echo).expect("the sandbox can be set up");

    // What comes first pays for compiling and for memory that the pool keeps from then on.
    measure(&host, &call, 2, calls.div_ceil(10));
    println!("{:>7} {:>8} {:>9} {:>9} {:>9} {:>6}", "threads", "calls", "p50", "p99", "calls/s", "ratio");
    let one = measure(&host, &call, 1, calls);
    one.print(&one);
    measure(&host, &call, 2, calls).print(&one);
}

/// So many calls, by so many threads.
struct Measured {
    threads: usize,
    /// How long each call took, the shortest first.
    took: Vec<Duration>,
    per_second: f64,
}

/// Makes so many calls on each thread.
fn measure(host: &Host, call: &TaskCall, threads: usize, calls: usize) -> Measured {
    let began = Instant::now();
    let mut took: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| on_one_thread(host, call, calls))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("every call succeeds")).collect()
    });
    let per_second = took.len() as f64 / began.elapsed().as_secs_f64();
    took.sort_unstable();
    Measured { threads, took, per_second }
}

fn on_one_thread(host: &Host, call: &TaskCall, calls: usize) -> Vec<Duration> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let call = call.clone();
        let began = Instant::now();
        let done = runtime.block_on(host.call(call));
        took.push(began.elapsed());
        done.result.expect("echo gives its input back");
    }
    took
}

impl Measured {
    fn print(&self, one: &Self) {
        let at = |share: f64| self.took[(self.took.len() as f64 * share) as usize].as_secs_f64() * 1e6;
        println!(
            "{:>7} {:>8} {:>6.1} us {:>6.1} us {:>9.0} {:>6.2}",
            self.threads,
            self.took.len(),
            at(0.5),
            at(0.99),
            self.per_second,
            self.per_second / one.per_second,
        );
    }
}

fn call(digest: Digest) -> TaskCall {
    let name = |text| Name::new(text).expect("it is a name");
    let version = "1.0.0".parse().expect("it is a version");
    TaskCall {
        plugin: PluginPin { name: name("echo"), version, digest, observable: false },
        input: Arc::new(Input::plain(json!({"order": {"id": 4711, "lines": ["apples", "pears"]}}))),
        execution: ExecutionId(uuid::Uuid::nil()),
        step: "step".into(),
        attempt: 1,
        iteration: vec![],
        idempotency_key: "key".into(),
        workspace: name("default"),
        environment: name("production"),
        connection: None,
        dry_run: false,
        timeout: None,
    }
}
