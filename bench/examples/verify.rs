//! What the sandbox costs an adapter: `cargo run --release -p camshaft-bench --example verify -- [CALLS]`, once
//! `cargo xtask plugins` has run.
//!
//! A payload of GitHub's own, of about 10 KB, is verified and normalised by the adapter `github`: as a component in an instance
//! of its own each time, as the runtime does it, and by the same Rust code compiled for this machine. Printed: how long each
//! takes, and how many times longer the first. The machine should have nothing else to do.
//!
//! Most of it is SHA-256. Natively the processor's own instructions for that are taken where it has them, which no WebAssembly
//! reaches; `RUSTFLAGS='--cfg sha2_backend="soft"'` compares with the same Rust code without them.

#![allow(unexpected_cfgs, reason = "it is the hash's own, not ours")]

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use camshaft_host::{Components, Host, HostConfig, digest};
use camshaft_model::ids::{Digest, Name, ResourceId, SecretName};
use camshaft_model::json;
use camshaft_model::limits::Budget;
use camshaft_model::plugin::{Grant, PluginPin};
use camshaft_model::seams::{Integration, Permissions, Plugins, StoreError, WebhookRequest};
use camshaft_model::time::Timestamp;
use camshaft_sdk::testing::{self, Sent};
use camshaft_sdk::verify::Algorithm;
use futures::FutureExt;
use futures::future::BoxFuture;
use github::GitHub;
use serde_json::Value;
use tokio::runtime;

const EXAMPLES: &str = "plugins/adapters/github/examples.jsonl.gz";
const COMPONENT: &str = "target/plugins/github.wasm";
const BODY_BYTES: usize = 10 << 10;
const SECRET: &str = "It's a Secret to Everybody";
/// Which SHA-256 is taken natively.
const NATIVE: &str = if cfg!(sha2_backend = "soft") { "portable" } else { "native" };

/// The one component there is. It is granted nothing.
struct Adapter(Vec<u8>);

impl Components for Adapter {
    fn bytes(&self, _: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        async { Ok(Some(self.0.clone())) }.boxed()
    }
}

impl Permissions for Adapter {
    fn grant(&self, _: &Name, _: &Name) -> Arc<Grant> {
        Arc::default()
    }

    fn secret(&self, _: &Name, _: &Name, _: &SecretName) -> Option<String> {
        None
    }
}

fn main() -> Result<()> {
    let calls: usize = std::env::args().nth(1).map_or(Ok(20_000), |text| text.parse()).context("CALLS is a number")?;
    let (event, body) = payload()?;
    let sent = Sent { kind: &event, body: &body, key: SECRET, at_ms: 0 };
    let signature = format!("sha256={}", sent.hex(Algorithm::Sha256, &[&body]));
    let headers = [("X-Hub-Signature-256", &*signature), ("X-GitHub-Event", &event), ("X-GitHub-Delivery", "d-1")];

    let delivery = sent.delivery(&headers);
    let native = || {
        let receipt = testing::receive::<GitHub>(&delivery, json!({}), &[("signing_secret", &[SECRET])]);
        receipt.expect("the delivery is signed").events.len()
    };

    let bytes = std::fs::read(COMPONENT).context("`cargo xtask plugins` has built the adapter `github`")?;
    let integration = integration(digest(&bytes))?;
    let request = WebhookRequest {
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: delivery.headers.clone(),
        body: body.clone().into(),
        remote_address: None,
        received_at: Timestamp::from_millis(0),
        public_url: delivery.public_url.clone(),
    };
    let adapter = Arc::new(Adapter(bytes));
    let config = HostConfig {
        cache_dir: None,
        cache_key: [0; 32],
        budget: Budget::default(),
        instances_max: 16,
        stand_in: None,
    };
    let host = Host::new(config, adapter.clone(), adapter)?;
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let sandboxed = || {
        let receipt = runtime.block_on(host.receive(&integration, &request));
        receipt.expect("the delivery is signed").events.len()
    };

    // What comes first pays for compiling and for memory that the pool keeps from then on.
    measure(calls.div_ceil(10), &sandboxed);
    measure(calls.div_ceil(10), &native);
    let (native, sandboxed) = (measure(calls, &native), measure(calls, &sandboxed));
    println!("`{event}` of {} bytes, verified and normalised", body.len());
    println!("{:>10} {:>8} {:>11} {:>11} {:>6}", "", "calls", "p50", "p99", "ratio");
    for (name, took) in [(NATIVE, &native), ("sandboxed", &sandboxed)] {
        let at = |share: f64| took[(took.len() as f64 * share) as usize].as_secs_f64() * 1e6;
        let ratio = took[took.len() / 2].as_secs_f64() / native[native.len() / 2].as_secs_f64();
        println!("{name:>10} {:>8} {:>8.1} us {:>8.1} us {ratio:>6.2}", took.len(), at(0.5), at(0.99));
    }
    Ok(())
}

/// How long each of so many calls took, the shortest first.
fn measure(calls: usize, call: &dyn Fn() -> usize) -> Vec<Duration> {
    let mut took: Vec<_> = (0..calls)
        .map(|_| {
            let began = Instant::now();
            std::hint::black_box(call());
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took
}

/// Of GitHub's examples the one whose size is nearest to what is to be measured, with its event.
fn payload() -> Result<(String, Vec<u8>)> {
    let file = std::fs::File::open(EXAMPLES).with_context(|| format!("cannot read {EXAMPLES}"))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    let mut examples = Vec::new();
    for line in text.lines() {
        let example: Value = serde_json::from_str(line)?;
        let event = example["event"].as_str().context("an example has an event")?.to_owned();
        examples.push((event, example["payload"].to_string().into_bytes()));
    }
    let nearest = examples.into_iter().min_by_key(|(_, body)| body.len().abs_diff(BODY_BYTES));
    nearest.with_context(|| format!("{EXAMPLES} has no examples"))
}

fn integration(digest: Digest) -> Result<Integration> {
    let name = Name::new("github")?;
    Ok(Integration {
        id: ResourceId::from_bytes([0; 16]),
        name: name.clone(),
        workspace: Name::new("default")?,
        adapter: PluginPin { name, version: "1.0.0".parse()?, digest, observable: false },
        config: json!({}),
        secrets: vec![("signing_secret".to_owned(), vec![SECRET.to_owned()])],
        enabled: true,
    })
}
