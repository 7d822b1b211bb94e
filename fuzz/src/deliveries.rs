//! Deliveries that nobody would send, through the real components of the shipped adapters. The input chooses one of an adapter's
//! cases and says what is changed of it. Whatever that is, the adapter neither traps nor breaks a bound; and where its vendor signs
//! the body, nothing starts anything once a byte of the body, a header that is signed with it, or the time of it is another. Nor does what
//! lacks the vendor's signature or token.
//!
//! Coverage does not reach into compiled WebAssembly, so libFuzzer has no part in this: inputs are drawn from a seed.

mod case;
mod change;
mod config;
#[cfg(test)]
mod golden;
mod proof;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use camshaft_host::{Components, Host, HostConfig, StandIn, digest};
use camshaft_model::ids::{Digest, Name, ResourceId, SecretName};
use camshaft_model::limits::Budget;
use camshaft_model::plugin::{Descriptor, Grant, PluginPin};
use camshaft_model::seams::{Integration, Permissions, Plugins, Receipt, Refusal, StoreError, WebhookRequest};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{self, Runtime};

use self::case::Case;
use self::change::Bytes;

/// Adapters whose vendors do not sign the body of any delivery: they compare a token, or sign fields of it.
const UNSIGNED: [&str; 7] = ["aws-sns", "cloudevents", "datadog", "dockerhub", "microsoft-graph", "okta", "salesforce"];

/// The components of adapters, granted the hosts of Amazon SNS, in whose place we answer.
#[derive(Default)]
struct Shelf(Mutex<HashMap<Digest, Vec<u8>>>);

/// Most bytes that are kept of a request to a vendor.
const ASKED_BYTES_MAX: usize = 16 << 10;

impl Components for Shelf {
    fn bytes(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let bytes = self.0.lock().expect("nobody panics with it").get(&digest).cloned();
        async { Ok(bytes) }.boxed()
    }
}

impl Permissions for Shelf {
    fn grant(&self, _: &Name, _: &Name) -> Arc<Grant> {
        let hosts = vec!["https://sns.*.amazonaws.com".to_owned()];
        Arc::new(Grant { hosts, ..Grant::default() })
    }

    fn secret(&self, _: &Name, _: &Name, _: &SecretName) -> Option<String> {
        None
    }
}

/// A shipped adapter.
pub(crate) struct Adapter {
    pub(crate) name: Name,
    digest: Digest,
    pub(crate) config_schema: serde_json::Value,
    pub(crate) cases: Vec<Case>,
}

/// Every adapter in one host.
struct Adapters {
    host: Arc<Host>,
    runtime: Runtime,
    all: Vec<Adapter>,
}

static ADAPTERS: LazyLock<Adapters> = LazyLock::new(Adapters::load);

/// The repository's root. Asked when it runs: what was compiled in may be another clone with the same target folder.
fn root() -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(fuzz) => Path::new(&fuzz).join(".."),
        None => PathBuf::from("."),
    }
}

impl Adapters {
    fn load() -> Self {
        let shelf = Arc::new(Shelf::default());
        let folder = root().join("plugins/adapters");
        let mut folders: Vec<_> = read_dir(&folder);
        folders.sort();
        let golden = folders.iter().flat_map(|folder| Case::read_all(folder));
        let answers = golden.chain(signed().map(|(_, case)| case)).flat_map(|case| case.answers).collect();
        let stand_in = Some(stand_in(answers));
        let budget = Budget::default();
        let config = HostConfig { cache_dir: None, cache_key: [0; 32], budget, instances_max: 4, stand_in };
        let host = Host::new(config, shelf.clone(), shelf.clone()).expect("the sandbox can be set up");
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let all = folders.iter().map(|folder| {
            let name = folder.file_name().expect("a folder has a name").to_string_lossy().into_owned();
            let file = root().join("target/plugins").join(format!("{name}.wasm"));
            let bytes = std::fs::read(&file);
            let bytes = bytes.unwrap_or_else(|error| panic!("{}: {error}; run `cargo xtask plugins`", file.display()));
            let digest = digest(&bytes);
            shelf.0.lock().expect("nobody panics with it").insert(digest, bytes.clone());
            let release = runtime.block_on(host.inspect(bytes)).expect("a shipped adapter is an adapter");
            let Descriptor::Adapter(descriptor) = release.descriptor else { panic!("`{name}` is no adapter") };
            let cases = Case::read_all(folder);
            Adapter { name: release.name, digest, config_schema: descriptor.config_schema, cases }
        });
        let all = all.collect();
        Self { host, runtime, all }
    }
}

/// Answers with these bodies at their URLs, and knows no others.
fn stand_in(answers: HashMap<String, Vec<u8>>) -> StandIn {
    let answers = Arc::new(answers);
    Arc::new(move |_| {
        let (ours, mut theirs) = tokio::io::duplex(ASKED_BYTES_MAX);
        let answers = answers.clone();
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") && asked.len() < ASKED_BYTES_MAX {
                let Ok(byte) = theirs.read_u8().await else { return };
                asked.push(byte);
            }
            let asked = String::from_utf8_lossy(&asked);
            let url = asked.split(' ').nth(1).unwrap_or_default();
            let (status, body) =
                answers.get(url).map_or(("404 Not Found", &[][..]), |body| ("200 OK", body.as_slice()));
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Who has heard enough may have gone.
            let _ = theirs.write_all(&[head.as_bytes(), body].concat()).await;
        });
        ours
    })
}

/// What vendors' own libraries have signed, with the adapter's name.
fn signed() -> impl Iterator<Item = (String, Case)> {
    let table = root().join("tests/oracles/vendors.jsonl");
    let table = std::fs::read_to_string(&table).unwrap_or_else(|error| panic!("{}: {error}", table.display()));
    let lines: Vec<serde_json::Value> =
        table.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    lines.into_iter().map(|line| {
        let adapter = line["adapter"].as_str().expect("a line has an adapter").to_owned();
        let case = Case::of(&line, &root().join("plugins/adapters").join(&adapter));
        (adapter, case)
    })
}

fn read_dir(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder can be read").path()).collect()
}

pub(crate) fn run(input: &[u8]) {
    let all = &ADAPTERS.all;
    let mut input = Bytes(input);
    let adapter = input.one_of(all);
    let case = input.one_of(&adapter.cases);
    let changed = change::change(adapter, case, all, &mut input);
    let received = received(adapter, changed.config.clone(), changed.secrets.clone(), &changed.request);
    let told = || format!("`{}`, {}: {:?}, {:?}", adapter.name, case.name, changed.config, changed.request);
    if let Err(Refusal::Broken(failure)) = &received {
        panic!("{failure}: {}", told());
    }
    if !received.as_ref().is_ok_and(|receipt| !receipt.events.is_empty()) {
        return;
    }
    let forged = changed.forged.filter(|_| case.is_signed_by(adapter));
    let lacking = proof::lacking(adapter, case, &changed);
    if let Some(what) = forged.or(lacking) {
        panic!("taken with {what}: {}: {received:?}", told());
    }
}

/// What the adapter makes of a delivery.
fn received(
    adapter: &Adapter,
    config: serde_json::Value,
    secrets: Vec<(String, Vec<String>)>,
    request: &WebhookRequest,
) -> Result<Receipt, Refusal> {
    let Adapters { host, runtime, .. } = &*ADAPTERS;
    let integration = Integration {
        id: ResourceId::from_bytes([1; 16]),
        name: Name::new("test").expect("it is a name"),
        workspace: adapter.name.clone(),
        adapter: PluginPin {
            name: adapter.name.clone(),
            version: "1.0.0".parse().expect("it is a version"),
            digest: adapter.digest,
            observable: false,
        },
        config,
        secrets,
        enabled: true,
    };
    runtime.block_on(host.receive(&integration, request))
}
