//! Checks an upload: size, format, kind, imports, and what its `describe` says. The first check that fails is told.

use std::time::Duration;

use camshaft_model::Value;
use camshaft_model::ids::Name;
use camshaft_model::limits::{self, Budget};
use camshaft_model::plugin::{
    AdapterDescriptor, Descriptor, EventType, Example, PluginKind, PluginRelease, SecretField, TaskDescriptor,
};
use semver::Version;
use wasmtime::component::Component;

use crate::bindings::adapter::exports::camshaft::plugin::adapter as guest_adapter;
use crate::bindings::task::exports::camshaft::plugin::task as guest_task;
use crate::call::{Returned, out_of_time, trapped, within};
use crate::registry::{ADAPTER, Prepared, TASK};
use crate::state::{CallState, Caller};
use crate::{Host, capability, digest};

/// Why an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// Too many bytes.
    #[error("the component has {found} bytes; {limit} is the limit", limit = limits::COMPONENT_BYTES_MAX)]
    Size {
        /// Bytes of the upload.
        found: usize,
    },
    /// Not WebAssembly at all.
    #[error("this is no WebAssembly: it begins with {0}")]
    NotWasm(String),
    /// A module where a component is wanted.
    #[error("this is a core module, not a component; build it for wasm32-wasip2, or componentise it")]
    CoreModule,
    /// WebAssembly that does not validate or compile.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// Neither a task nor an adapter, or both.
    #[error("{0}")]
    World(String),
    /// An import that the host does not have, or does not give to plugins.
    #[error("the component imports `{0}`, which is not on offer")]
    UnknownImport(String),
    /// `describe` did not answer, or said what cannot be.
    #[error("`describe` {0}")]
    Describe(String),
    /// The machine cannot check it now.
    #[error("the component cannot be checked now: {0}")]
    Unavailable(String),
}

impl UploadError {
    /// Which check failed, in a word for programs.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Size { .. } => "size",
            Self::NotWasm(_) => "wasm",
            Self::CoreModule => "component",
            Self::Invalid(_) => "validation",
            Self::World(_) => "world",
            Self::UnknownImport(_) => "imports",
            Self::Describe(_) => "describe",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

pub(crate) async fn inspect(host: &Host, bytes: Vec<u8>) -> Result<PluginRelease, UploadError> {
    check_bytes(&bytes)?;
    let (digest, size_bytes) = (digest(&bytes), bytes.len() as u64);
    let compiled = host
        .registry
        .blocking(move |compiler| {
            let component = compiler.cache.component(digest, &bytes)?;
            Ok(examine(compiler.engine.clone(), &component).and_then(|facts| {
                let prepared =
                    compiler.resolve(&component).map_err(|error| UploadError::Invalid(format!("{error:#}")))?;
                Ok((facts, prepared))
            }))
        })
        .await
        .map_err(|error| UploadError::Invalid(format!("{error:#}")))?;
    let (facts, prepared) = compiled?;
    let (name, version, descriptor) = describe(host, &prepared).await?;
    host.registry.keep(digest, prepared);
    Ok(PluginRelease {
        name: Name::new(&name).map_err(|malformed| UploadError::Describe(format!("gives a bad name: {malformed}")))?,
        version: Version::parse(&version).map_err(|error| {
            UploadError::Describe(format!("gives the version `{version}`, which is no MAJOR.MINOR.PATCH: {error}"))
        })?,
        digest,
        kind: facts.kind,
        size_bytes,
        observable: facts.imports.iter().any(|import| capability::is_observable(import)),
        imports: facts.imports,
        exports: facts.exports,
        shipped: false,
        descriptor,
    })
}

/// What can be told from the bytes alone.
fn check_bytes(bytes: &[u8]) -> Result<(), UploadError> {
    if bytes.len() > limits::COMPONENT_BYTES_MAX {
        return Err(UploadError::Size { found: bytes.len() });
    }
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(UploadError::CoreModule),
        _ => {
            let begin: String = bytes.iter().take(8).map(|byte| format!("{byte:02x} ")).collect();
            let begin = if begin.is_empty() { "nothing".to_owned() } else { begin.trim_end().to_owned() };
            Err(UploadError::NotWasm(begin))
        }
    }
}

struct Facts {
    kind: PluginKind,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// What the component's type tells.
fn examine(engine: wasmtime::Engine, component: &Component) -> Result<Facts, UploadError> {
    let kind = component.component_type();
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let imports = names(kind.imports(&engine).map(|(name, _)| name).collect());
    let exports = names(kind.exports(&engine).map(|(name, _)| name).collect());
    let has = |what: &str| exports.iter().any(|name| name.starts_with(what));
    let kind = match (has(TASK), has(ADAPTER)) {
        (true, false) => PluginKind::Task,
        (false, true) => PluginKind::Adapter,
        (true, true) => {
            return Err(UploadError::World(
                "the component exports both a task and an adapter; it is one of them".to_owned(),
            ));
        }
        (false, false) => {
            let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            let message = format!(
                "the component exports neither `camshaft:plugin/task` nor `camshaft:plugin/adapter`, but {found}"
            );
            return Err(UploadError::World(message));
        }
    };
    if let Some(unknown) = imports.iter().find(|import| !capability::is_known(import)) {
        return Err(UploadError::UnknownImport(unknown.clone()));
    }
    Ok(Facts { kind, imports, exports })
}

/// What `describe` may use.
fn small(budget: &Budget) -> Budget {
    Budget {
        cpu: Duration::from_secs(1),
        wall: Duration::from_secs(5),
        output_bytes: 1 << 20,
        log_bytes: 16 << 10,
        requests: 0,
        ..*budget
    }
}

async fn describe(host: &Host, prepared: &Prepared) -> Result<(String, String, Descriptor), UploadError> {
    let budget = small(&host.budget);
    let nobody = Name::new("describe").map_err(|malformed| UploadError::Describe(malformed.to_string()))?;
    let caller = Caller { plugin: nobody.clone(), workspace: nobody.clone(), environment: nobody };
    let _place = host.places.acquire().await.map_err(|error| UploadError::Unavailable(error.to_string()))?;
    let mut store = CallState::store(&host.machine, caller, budget, &host.permissions);
    store.set_hostcall_fuel(budget.output_bytes);
    let described = match prepared {
        Prepared::Task(pre) => {
            let running = async {
                let instance = pre.instantiate_async(&mut store).await?;
                instance.camshaft_plugin_task().call_describe(&mut store).await
            };
            let (returned, _) = within(budget.wall, running).await;
            returned.map(task)
        }
        Prepared::Adapter(prepared) => {
            let running = async {
                let instance = prepared.pre.instantiate_async(&mut store).await?;
                prepared.adapter.load(&mut store, &instance)?.call_describe(&mut store).await
            };
            let (returned, _) = within(budget.wall, running).await;
            returned.map(adapter)
        }
    };
    let failure = match described {
        Returned::Value(described) => return described,
        Returned::Trapped(error) => {
            store.data().meter.breach.map_or_else(|| trapped(&error), |breach| breach.failure())
        }
        Returned::OutOfTime => out_of_time(budget.wall),
    };
    Err(UploadError::Describe(format!("did not answer: {failure}")))
}

impl<T> Returned<T> {
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Returned<U> {
        match self {
            Self::Value(value) => Returned::Value(with(value)),
            Self::Trapped(error) => Returned::Trapped(error),
            Self::OutOfTime => Returned::OutOfTime,
        }
    }
}

fn json(what: &str, text: &str) -> Result<Value, UploadError> {
    serde_json::from_str(text).map_err(|error| UploadError::Describe(format!("gives {what} that is no JSON: {error}")))
}

type Described = Result<(String, String, Descriptor), UploadError>;

fn task(d: guest_task::Descriptor) -> Described {
    let example = |example: guest_task::Example| {
        let what = format!("an example `{}`", example.name);
        Ok(Example {
            input: json(&what, &example.input)?,
            output: example.output.map(|output| json(&what, &output)).transpose()?,
            name: example.name,
        })
    };
    let descriptor = TaskDescriptor {
        summary: d.summary,
        input_schema: json("an input schema", &d.input_schema)?,
        output_schema: json("an output schema", &d.output_schema)?,
        examples: d.examples.into_iter().map(example).collect::<Result<_, UploadError>>()?,
        hosts: d.hosts,
        secrets: d.secrets,
    };
    Ok((d.name, d.version, Descriptor::Task(descriptor)))
}

fn adapter(d: guest_adapter::Descriptor) -> Described {
    let event = |event: guest_adapter::EventType| {
        let what = format!("a sample of `{}`", event.name);
        Ok(EventType {
            sample: event.sample.map(|sample| json(&what, &sample)).transpose()?,
            name: event.name,
            summary: event.summary,
        })
    };
    let field = |field: guest_adapter::SecretField| SecretField {
        name: field.name,
        required: field.required,
        summary: field.summary,
    };
    let descriptor = AdapterDescriptor {
        vendor: d.vendor,
        summary: d.summary,
        config_schema: json("a configuration schema", &d.config_schema)?,
        secrets: d.secrets.into_iter().map(field).collect(),
        events: d.events.into_iter().map(event).collect::<Result<_, UploadError>>()?,
        docs: d.docs,
        hosts: d.hosts,
    };
    Ok((d.name, d.version, Descriptor::Adapter(descriptor)))
}
