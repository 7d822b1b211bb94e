//! What the server tells of itself: the log, and the counters behind `/metrics`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use camshaft_model::ids::Name;
use camshaft_model::seams::{Pruned, StoreSize};
use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogForm;
use crate::letters::Standing;

/// Upper bounds of the classes of request times, seconds.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0];

/// Sends the log to stderr from now on. A second call in one process is an error that the caller may ignore.
pub fn log(form: LogForm, filter: &str) -> Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("`log_level` is `{filter}`, which is no filter"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A line that cannot be written is lost. Telling stderr so would fail as well, and `eprintln!` panics where it does.
    let builder = builder.log_internal_errors(false);
    let set = match form {
        LogForm::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogForm::Json => builder.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| anyhow::anyhow!("the log is set up already: {error}"))
}

/// The counters of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    inner: Arc<Counters>,
}

struct Counters {
    /// By the first digit of the status, 1 to 5.
    requests: [Counter; 5],
    seconds: Histogram,
    panics: Counter,
    executions: Gauge,
    file_bytes: Gauge,
    used_bytes: Gauge,
    pruned: Counter,
}

impl Metrics {
    /// The counters; every server of a process shares them.
    pub fn install() -> Result<Self> {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        if INSTALLED.get().is_none() {
            let recorder = PrometheusBuilder::new().set_buckets(&SECONDS)?.build_recorder();
            let handle = recorder.handle();
            // Two servers that start at once in one process: the first recorder stays.
            if metrics::set_global_recorder(recorder).is_ok() {
                let _ = INSTALLED.set(handle);
            }
        }
        let handle = INSTALLED.get().context("another recorder of metrics is installed in this process")?.clone();
        metrics::describe_counter!("camshaft_http_requests_total", "requests answered, by class of status");
        metrics::describe_histogram!("camshaft_http_request_seconds", Unit::Seconds, "time from request to answer");
        metrics::describe_counter!("camshaft_http_panics_total", "requests whose handler panicked");
        metrics::describe_gauge!("camshaft_executions_under_way", "executions that this server drives now");
        metrics::describe_counter!("camshaft_deliveries_total", "deliveries for integrations, by what became of them");
        metrics::describe_counter!("camshaft_schedule_firings_total", "firings of schedules, by what became of them");
        metrics::describe_counter!(
            "camshaft_letters_total",
            "letters of subscriptions, and tries, by what became of them"
        );
        metrics::describe_gauge!("camshaft_letters", "letters of subscriptions that wait or are dead");
        metrics::describe_gauge!("camshaft_store_file_bytes", Unit::Bytes, "length of the database's file");
        metrics::describe_gauge!("camshaft_store_used_bytes", Unit::Bytes, "keys and values in the database");
        metrics::describe_counter!("camshaft_executions_pruned_total", "ended executions that retention has forgotten");
        let class = |class: &'static str| metrics::counter!("camshaft_http_requests_total", "status" => class);
        let inner = Counters {
            requests: [class("1xx"), class("2xx"), class("3xx"), class("4xx"), class("5xx")],
            seconds: metrics::histogram!("camshaft_http_request_seconds"),
            panics: metrics::counter!("camshaft_http_panics_total"),
            executions: metrics::gauge!("camshaft_executions_under_way"),
            file_bytes: metrics::gauge!("camshaft_store_file_bytes"),
            used_bytes: metrics::gauge!("camshaft_store_used_bytes"),
            pruned: metrics::counter!("camshaft_executions_pruned_total"),
        };
        Ok(Self { handle, inner: Arc::new(inner) })
    }

    /// A request was answered.
    pub fn answered(&self, status: u16, took: Duration) {
        if let Some(counter) = self.inner.requests.get(usize::from(status / 100).wrapping_sub(1)) {
            counter.increment(1);
        }
        self.inner.seconds.record(took.as_secs_f64());
    }

    /// A handler panicked.
    pub fn panicked(&self) {
        self.inner.panics.increment(1);
    }

    /// So many executions are under way.
    pub fn executions(&self, under_way: usize) {
        #[allow(clippy::cast_precision_loss)]
        self.inner.executions.set(under_way as f64);
    }

    /// The store is so large.
    pub fn store(&self, size: StoreSize) {
        #[allow(clippy::cast_precision_loss)]
        self.inner.file_bytes.set(size.file_bytes as f64);
        #[allow(clippy::cast_precision_loss)]
        self.inner.used_bytes.set(size.used_bytes as f64);
    }

    /// Retention has forgotten these.
    pub fn pruned(&self, pruned: &Pruned) {
        self.inner.pruned.increment(pruned.executions as u64);
    }

    /// So many deliveries came for an integration since the server started.
    pub fn deliveries(&self, workspace: &Name, integration: &str, accepted: u64, refused: u64) {
        for (result, count) in [("accepted", accepted), ("refused", refused)] {
            let labels = [
                ("workspace", workspace.to_string()),
                ("integration", integration.to_owned()),
                ("result", result.to_owned()),
            ];
            metrics::counter!("camshaft_deliveries_total", &labels).absolute(count);
        }
    }

    /// So many firings of schedules came to this since the server started.
    pub fn firings(&self, became: &'static str, count: u64) {
        metrics::counter!("camshaft_schedule_firings_total", "became" => became).absolute(count);
    }

    /// So many letters, or tries to send them, came to this since the server started.
    pub fn letters(&self, became: &'static str, count: u64) {
        metrics::counter!("camshaft_letters_total", "became" => became).absolute(count);
    }

    /// So many letters wait, and so many are dead.
    #[allow(clippy::cast_precision_loss)]
    pub fn letters_standing(&self, standing: Standing) {
        metrics::gauge!("camshaft_letters", "state" => "waiting").set(standing.waiting as f64);
        metrics::gauge!("camshaft_letters", "state" => "dead").set(standing.dead as f64);
    }

    /// The text format of Prometheus.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds what histograms have gathered; without it they grow until somebody asks.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
