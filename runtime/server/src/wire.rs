//! Joins everything: the only place that names concrete types.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use bytes::Bytes;
use camshaft_engine::{Dispatcher, Engine, EngineParts};
use camshaft_host::{Components, Host, HostConfig, PostRules, Poster, UploadError};
use camshaft_model::Value;
use camshaft_model::ids::{Digest, Name};
use camshaft_model::language::expression::{Jq, JqError};
use camshaft_model::places::Places;
use camshaft_model::plugin::PluginRelease;
use camshaft_model::seams::{Clock, Dispatch, Ids, Store, StoreError};
use camshaft_store::RedbStore;
use camshaft_triggers::deliveries::Deliveries;
use camshaft_triggers::http::{Parts, PerAddress, Settings, Throttle};
use camshaft_triggers::schedule::{self, Schedules};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::api::{self, App, Instance, connect};
use crate::backup::{self, Backups};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::dialects::{self, Paragon, ToolJet};
use crate::envelope::Envelope;
use crate::folder::DataFolder;
use crate::inspector::{Inspector, Unfit};
use crate::letters::announcing::Announcing;
use crate::letters::{self, Letters};
use crate::listener::{self, Bounds};
use crate::observe::{self, Metrics};
use crate::operator;
use crate::readiness::Readiness;
use crate::reruns::{self, Reruns};
use crate::retention::Retention;
use crate::shipped;
use crate::tallies::Tallies;
use crate::time::{OrderedIds, SystemClock};
use crate::tokens::Tokens;
use crate::vault::Vault;

/// Instances of plugins kept ready beside those of tasks under way: adapters, and the evaluator of jq.
const INSTANCES_BESIDE: u32 = 64;
/// When schedules that could not be read are read again.
const AGAIN: Duration = Duration::from_secs(10);
/// How often counters are folded, and when tokens were presented last is written down.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// Runs a server until SIGINT or SIGTERM. The first line on stdout is `listening on http://ADDRESS`. `once_started` is called
/// when what only the start needed has been let go, so that an allocator may hand it back.
pub async fn serve(config: Config, once_started: fn()) -> Result<()> {
    // A caller that has set a log up already keeps it.
    if let Err(error) = observe::log(config.log, &config.log_level) {
        tracing::debug!("{error:#}");
    }
    shipped::check_built()?;
    let listener = listener::bind(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let server = Server::open(&config, address).await?;
    announce(address)?;
    server.run(listener, stopped(), once_started).await
}

fn announce(address: SocketAddr) -> Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
    Ok(())
}

async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "a signal cannot be waited for");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
}

/// A server, joined and not yet listening.
pub struct Server {
    instance: Arc<Instance>,
    engine: Arc<Engine>,
    router: Router,
    evaluator: Arc<Evaluator>,
    retention: Retention,
}

impl Server {
    /// Opens the data folder and joins everything. `address` is where it will listen.
    pub async fn open(config: &Config, address: SocketAddr) -> Result<Self> {
        let workspace = Name::new("default")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(OrderedIds);
        let folder = DataFolder::open(&config.data)?;
        let vault = Arc::new(Vault::open(&folder)?);
        let path = folder.path(backup::DATABASE);
        let store = RedbStore::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let store: Arc<dyn Store> = Arc::new(store);

        let operator = config.admin_token.as_ref().map(|token| token.0.as_str());
        let tokens = Tokens::new(operator, &workspace);
        let loaded = Catalog::load(store.clone(), vault.clone(), tokens, config.limits.of_instance()).await;
        let catalog =
            if vault.is_kept() { loaded? } else { loaded.context("there is no file `keys` in the data folder")? };
        vault.keep(&folder)?;
        if operator.is_none() {
            operator::first_token(&folder, &catalog, &workspace, (&*ids, &*clock)).await?;
        }

        let parallel_calls = config.limits.parallel_calls;
        let host = Host::new(
            HostConfig {
                cache_dir: Some(folder.path("cache")),
                cache_key: vault.cache_key(),
                budget: config.sandbox,
                instances_max: parallel_calls.saturating_add(INSTANCES_BESIDE),
                stand_in: None,
            },
            catalog.clone(),
            Arc::new(Blobs(store.clone())),
        )?;
        let evaluator =
            Arc::new(Evaluator { host: host.clone(), component: shipped::expression()?, made: OnceLock::new() });

        let places = Places::new(Handle::current().metrics().num_workers());
        let letters = Letters::load(letters::Parts {
            store: store.clone(),
            catalog: catalog.clone(),
            post: Arc::new(Poster::new(PostRules {
                http: config.subscriptions.http,
                private_addresses: config.subscriptions.private_addresses,
            })),
            clock: clock.clone(),
        });
        let letters = letters.await.context("letters of subscriptions cannot be read")?;
        let tallies = Tallies::load(&*store, clock.clone()).await?;
        let engine = Engine::start(EngineParts {
            store: Arc::new(Announcing::new(store.clone(), letters.clone())),
            plugins: host.clone(),
            directory: catalog.clone(),
            jq: evaluator.clone(),
            places: places.clone(),
            witness: tallies.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            parallel_calls: parallel_calls as usize,
        });
        let dispatch: Arc<dyn Dispatch> = Arc::new(Dispatcher(engine.clone()));
        let throttle = Arc::new(Throttle::new(config.limits.executions_per_second, clock.clone()));
        for workspace in catalog.workspaces() {
            let kept = catalog.workspace_kept(&workspace);
            throttle.set(&workspace, kept.and_then(|kept| kept.spec.limits.executions_per_second));
        }
        let deliveries = Arc::new(Deliveries::default());
        let metrics = Metrics::install()?;

        let retention = Retention::new(store.clone(), clock.clone(), metrics.clone(), config.retention.clone());
        let backups = Backups::new(folder, store.clone(), clock.clone());
        let parts = Parts {
            directory: catalog.clone(),
            plugins: host.clone(),
            dispatch: dispatch.clone(),
            jq: evaluator.clone(),
            places: places.clone(),
            clock: clock.clone(),
            store: store.clone(),
            throttle: throttle.clone(),
            witness: tallies.clone(),
            deliveries: deliveries.clone(),
            settings: Settings {
                home: workspace,
                body_bytes: config.limits.body_bytes,
                sync_window: config.sync.window,
                public_url: config.public_url.clone(),
                trusted_proxies: config.trusted_proxies.clone(),
            },
        };
        let schedules = Arc::new(Schedules::new(schedule::Parts {
            directory: catalog.clone(),
            dispatch: dispatch.clone(),
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            witness: tallies.clone(),
        }));
        let instance = Arc::new(Instance {
            store: store.clone(),
            triggers: parts.clone(),
            backups,
            catalog: catalog.clone(),
            dispatch: dispatch.clone(),
            shipped: shipped::plugins(),
            inspector: Arc::new(Looker(host.clone())),
            clock: clock.clone(),
            ids,
            throttle: throttle.clone(),
            deliveries: deliveries.clone(),
            tallies,
            schedules,
            readiness: Arc::new(Readiness::default()),
            reruns: Reruns::new(config.limits.executions_per_second, clock.clone()),
            letters,
            metrics,
            under_way: Box::new({
                let engine = engine.clone();
                move || engine.under_way()
            }),
            occupancy: Box::new({
                let engine = engine.clone();
                move |workflow| engine.occupancy(workflow)
            }),
            widen: Box::new({
                let engine = engine.clone();
                move |workflow, limit| engine.widen(workflow, limit)
            }),
            appended: Box::new({
                let engine = engine.clone();
                move || engine.appended()
            }),
            public_url: config.public_url.clone().unwrap_or_else(|| format!("http://{address}")),
            sync_window: config.sync.window,
        });
        let tooljet = ToolJet {
            throttle: PerAddress::new(
                config.tooljet.throttle_limit,
                Duration::from_millis(config.tooljet.throttle_ttl_ms),
                clock.clone(),
            ),
            trusted_proxies: config.trusted_proxies.clone(),
        };
        let router = api::router(instance.clone())
            .merge(dialects::router(instance.clone(), tooljet, Paragon { window: config.paragon.window }))
            .merge(camshaft_triggers::http::router(parts));
        Ok(Self { instance, engine, router, evaluator, retention })
    }

    /// Serves until `stop` is ready; then lets requests under way finish, and lays down what runs.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>, once_started: fn()) -> Result<()> {
        let Self { instance, engine, router, evaluator, retention } = self;
        let envelope = Arc::new(Envelope::new(router, instance.metrics.clone())?);
        let beside = [
            tokio::spawn(settle(instance.clone(), evaluator, once_started)),
            tokio::spawn(upkeep(instance.clone())),
            tokio::spawn({
                let instance = instance.clone();
                async move { instance.tallies.run(&*instance.store).await }
            }),
            tokio::spawn(async move { retention.run().await }),
            tokio::spawn(fire(instance.clone())),
            tokio::spawn(instance.letters.clone().run()),
        ];
        let started = start(instance.clone(), engine.clone());
        let failed = Arc::new(OnceLock::new());
        let stop = {
            let (instance, failed) = (instance.clone(), failed.clone());
            async move {
                let starting = async {
                    match started.await {
                        Ok(()) => std::future::pending::<()>().await,
                        Err(error) => drop(failed.set(error)),
                    }
                };
                tokio::select! { () = stop => {}, () = starting => {} }
                instance.readiness.stop();
            }
        };
        listener::listen(listener, envelope, Bounds::default(), stop, || async { engine.stop().await }).await;
        beside.iter().for_each(tokio::task::JoinHandle::abort);
        write_uses(&instance).await;
        instance.tallies.write(&*instance.store).await;
        match Arc::into_inner(failed).and_then(OnceLock::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// What a start still has to do while requests are answered: executions of a former server, and the shipped plugins.
async fn start(instance: Arc<Instance>, engine: Arc<Engine>) -> Result<()> {
    let recovering = async {
        let resumed = engine.recover().await.context("open executions cannot be read")?;
        if resumed > 0 {
            tracing::info!(resumed, "executions of a former server go on");
        }
        instance.readiness.recovered();
        anyhow::Ok(())
    };
    let registering = async {
        for workspace in instance.catalog.workspaces() {
            instance.ship(&workspace).await?;
        }
        instance.readiness.shipped();
        anyhow::Ok(())
    };
    tokio::try_join!(recovering, registering)?;
    for workspace in instance.catalog.workspaces() {
        let app = App::new(instance.clone(), workspace);
        reruns::resume(&app).await.context("reruns of a former server cannot be read")?;
        if let Err(problem) = connect::announce_all(&app).await {
            tracing::error!(
                why = problem.detail(),
                "a connection of a former server is not told of; the next start tries again"
            );
        }
    }
    Ok(())
}

/// Makes what the first filter would wait for otherwise; then the start is over.
async fn settle(instance: Arc<Instance>, evaluator: Arc<Evaluator>, once_started: fn()) {
    // If it fails, that filter tells.
    let _ = tokio::task::spawn_blocking(move || evaluator.made().map(|_| ())).await;
    instance.readiness.until_ready().await;
    once_started();
}

/// Fires schedules, once executions of a former server go on, and until the server is asked to stop.
async fn fire(instance: Arc<Instance>) {
    instance.readiness.until_ready().await;
    let firing = async {
        while let Err(error) = instance.schedules.run().await {
            tracing::error!(%error, "schedules do not fire: what is written of them cannot be read");
            instance.clock.sleep_until(instance.clock.now().plus(AGAIN)).await;
        }
    };
    tokio::select! { () = firing => {}, () = instance.readiness.until_stopping() => {} }
}

/// What is to be done every so often.
async fn upkeep(instance: Arc<Instance>) {
    loop {
        instance.clock.sleep_until(instance.clock.now().plus(UPKEEP_EVERY)).await;
        instance.metrics.upkeep();
        write_uses(&instance).await;
    }
}

async fn write_uses(instance: &Instance) {
    if let Err(error) = instance.catalog.write_uses().await {
        tracing::warn!(%error, "when tokens were presented last could not be written down");
    }
}

/// Gives the host the bytes that the store keeps.
struct Blobs(Arc<dyn Store>);

impl Components for Blobs {
    fn bytes(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.0.blob(digest)
    }
}

/// The host as the management API asks it.
struct Looker(Arc<Host>);

impl Inspector for Looker {
    fn inspect(&self, bytes: Bytes) -> BoxFuture<'_, Result<PluginRelease, Unfit>> {
        async move { self.0.inspect(bytes.into()).await.map_err(unfit) }.boxed()
    }

    fn prepare(&self, digest: Digest) -> BoxFuture<'_, Result<(), String>> {
        async move { self.0.prepare(digest).await.map_err(|error| error.to_string()) }.boxed()
    }
}

fn unfit(error: UploadError) -> Unfit {
    let check = match error {
        UploadError::Size { .. } => "size",
        UploadError::NotWasm(_) | UploadError::CoreModule | UploadError::Invalid(_) => "component",
        UploadError::World(_) => "world",
        UploadError::UnknownImport(_) => "imports",
        UploadError::Describe(_) => "describe",
        UploadError::Unavailable(why) => return Unfit::Unavailable(why),
    };
    Unfit::Refused { check: check.to_owned(), message: error.to_string() }
}

/// The sandboxed evaluator of jq, made when it is first needed: a start does not wait for it.
struct Evaluator {
    host: Arc<Host>,
    component: &'static [u8],
    made: OnceLock<Result<Arc<dyn Jq>, JqError>>,
}

impl Evaluator {
    fn made(&self) -> Result<&Arc<dyn Jq>, JqError> {
        let made =
            self.made.get_or_init(|| self.host.jq(self.component.to_vec()).map_err(|error| error.to_string().into()));
        made.as_ref().map_err(Clone::clone)
    }
}

impl Jq for Evaluator {
    fn evaluate(&self, filter: &str, context: &str) -> Result<Value, JqError> {
        self.made()?.evaluate(filter, context)
    }

    fn processor_time(&self) -> Duration {
        self.made().map_or(Duration::ZERO, |jq| jq.processor_time())
    }
}
