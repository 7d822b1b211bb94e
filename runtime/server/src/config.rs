//! Configuration: defaults, then one TOML file, then the environment, then flags; the later wins.
//!
//! Every key stands in [`KEYS`] with its default and its meaning; the environment's names and the printed default are
//! made of that list, so that none of them can be forgotten. A key that is not in the list is an error.

mod values;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use camshaft_model::language::nearest;
use camshaft_model::limits::Budget;
use camshaft_triggers::http::Network;
use serde::Deserialize;
use toml::{Table, Value};

use self::values::{age, budget, duration, listen, networks, public_url, size};
use crate::catalog::quotas::InstanceLimits;

/// A key of the configuration.
pub struct Key {
    /// `listen`, `limits.body_bytes`
    pub path: &'static str,
    /// As it stands in the file.
    pub default: &'static str,
    /// One line for people.
    pub meaning: &'static str,
}

const fn key(path: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { path, default, meaning }
}

/// Every key, in the order of the printed configuration.
pub const KEYS: &[Key] = &[
    key("listen", r#""127.0.0.1:7400""#, "address and port of the server; port 0 takes any free one"),
    key("data", r#""camshaft-data""#, "folder for everything that is kept"),
    key(
        "public_url",
        r#""""#,
        "how the outside calls this server, as adapters and answers show it; empty: http://<listen>",
    ),
    key(
        "trusted_proxies",
        "[]",
        "addresses or networks of proxies whose Forwarded and X-Forwarded-* headers are believed",
    ),
    key("log", r#""text""#, "form of the log: text or json"),
    key(
        "log_level",
        r#""info""#,
        "what is logged: error, warn, info, debug, trace, or a filter such as info,camshaft_host=debug",
    ),
    key("limits.executions_per_second", "25", "executions that a workspace may start in a second; 0: no limit"),
    key("limits.executions_per_day", "0", "executions that the server accepts in a day (UTC); 0: no limit"),
    key("limits.executions_per_month", "0", "executions that the server accepts in a month (UTC); 0: no limit"),
    key("limits.parallel_executions", "0", "executions under way at once; more are turned away; 0: no limit"),
    key(
        "limits.execution_time",
        r#""""#,
        "how long an execution may take, waiting included, whatever its workflow says; empty: no limit",
    ),
    key("limits.body_bytes", "1048576", "largest body of a request that starts something, bytes"),
    key("limits.parallel_calls", "64", "plugin calls under way at once; further ones wait their turn"),
    key("sync.window", r#""50s""#, "how long a synchronous caller waits before it gets 201 and a Location"),
    key(
        "tooljet.throttle_ttl_ms",
        "60000",
        "the time in which a client address may make so many requests to ToolJet's URLs, milliseconds",
    ),
    key("tooljet.throttle_limit", "100", "requests that it may make in that time; 0: no limit"),
    key("paragon.window", r#""55s""#, "how long a caller of Paragon's URLs waits for an Exit step before it gets 542"),
    key("retention.age", r#""30d""#, "how long ended executions are kept; empty: no matter how old they are"),
    key(
        "retention.size",
        r#""10GiB""#,
        "while more than this is kept, the executions that ended first go; empty: no matter how much it is",
    ),
    key("retention.every", r#""1m""#, "how often what is old is looked for"),
    key("subscriptions.http", "false", "whether URLs of subscriptions may be http; else they are https"),
    key(
        "subscriptions.private_addresses",
        "false",
        "whether subscriptions may reach private and loopback addresses; a cloud's metadata service they never do",
    ),
    key("sandbox.memory_bytes", "67108864", "memory of one plugin call, bytes"),
    key("sandbox.cpu", r#""10s""#, "time on the processor of one plugin call"),
    key("sandbox.wall", r#""30s""#, "time on the wall clock of one plugin call, host calls included"),
    key("sandbox.input_bytes", "1048576", "JSON handed to one plugin call, bytes"),
    key("sandbox.output_bytes", "4194304", "JSON handed back by one plugin call, bytes"),
    key("sandbox.log_bytes", "262144", "log lines of one plugin call, bytes"),
    key("sandbox.requests", "64", "outbound HTTP requests of one plugin call"),
    key("sandbox.response_bytes", "10485760", "one outbound HTTP response, bytes"),
];

const PREFIX: &str = "CAMSHAFT_";
/// Variables of other systems that mean keys of ours; our own go before them.
const FOREIGN_VARIABLES: [(&str, &str); 2] =
    [("WEBHOOK_THROTTLE_TTL", "tooljet.throttle_ttl_ms"), ("WEBHOOK_THROTTLE_LIMIT", "tooljet.throttle_limit")];
/// Variables of ours that are no keys: of the server, the command line, the tests and the build.
const OTHER_VARIABLES: [&str; 7] = ["ADMIN_TOKEN", "URL", "TOKEN", "WORKSPACE", "PROGRAMS", "SEED", "WASM_TOOLCHAIN"];

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    /// For terminals.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a server is told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    #[serde(deserialize_with = "listen")]
    pub listen: SocketAddr,
    /// Its data folder.
    pub data: PathBuf,
    /// How the outside calls it, without a slash at the end; none: by the address that it listens on.
    #[serde(deserialize_with = "public_url")]
    pub public_url: Option<String>,
    /// Proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<Network>,
    /// Form of the log.
    pub log: LogForm,
    /// Filter of the log.
    pub log_level: String,
    /// How much of everything.
    pub limits: Limits,
    /// Synchronous callers.
    pub sync: Sync,
    /// Clients of ToolJet.
    pub tooljet: ToolJet,
    /// Clients of Paragon.
    pub paragon: Paragon,
    /// How long things are kept.
    pub retention: Retention,
    /// Where subscriptions may lead.
    pub subscriptions: Subscriptions,
    /// What one plugin call may use.
    #[serde(deserialize_with = "budget")]
    pub sandbox: Budget,
    /// The admin token, where the environment sets one (`CAMSHAFT_ADMIN_TOKEN`); never in the file.
    #[serde(skip)]
    pub admin_token: Option<AdminToken>,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Executions that a workspace may start in a second; 0 is no limit.
    pub executions_per_second: u32,
    /// Executions that the server accepts in a day (UTC); 0 is no limit.
    pub executions_per_day: u64,
    /// Executions that the server accepts in a month (UTC); 0 is no limit.
    pub executions_per_month: u64,
    /// Executions under way at once; 0 is no limit.
    pub parallel_executions: u32,
    /// How long an execution may take, waiting included; none: as its workflow says.
    #[serde(deserialize_with = "age")]
    pub execution_time: Option<Duration>,
    /// Largest body of a request that starts something, at a trigger URL or any other.
    pub body_bytes: usize,
    /// Plugin calls under way at once.
    pub parallel_calls: u32,
}

impl Limits {
    /// What bounds the whole instance.
    pub fn of_instance(&self) -> InstanceLimits {
        InstanceLimits {
            parallel_executions: self.parallel_executions,
            per_day: self.executions_per_day,
            per_month: self.executions_per_month,
            execution_time: self.execution_time,
        }
    }
}

/// `[sync]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// How long a synchronous caller waits.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
}

/// `[tooljet]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolJet {
    /// The time in which an address may make so many requests, milliseconds.
    pub throttle_ttl_ms: u64,
    /// How many; 0 is no limit.
    pub throttle_limit: u32,
}

/// `[paragon]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paragon {
    /// How long a caller waits for an Exit step.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
}

/// `[retention]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// How long executions are kept after their end; none: for ever.
    #[serde(deserialize_with = "age")]
    pub age: Option<Duration>,
    /// Bytes of keys and values that the store may keep before ended executions go, whatever their age; none: no bound.
    #[serde(deserialize_with = "size")]
    pub size: Option<u64>,
    /// How often this is looked at.
    #[serde(deserialize_with = "duration")]
    pub every: Duration,
}

/// `[subscriptions]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriptions {
    /// Whether their URLs may be http.
    pub http: bool,
    /// Whether they may reach private and loopback addresses.
    pub private_addresses: bool,
}

/// A secret text that never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(pub String);

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<admin token>")
    }
}

/// A configuration that was refused; the message names the key or the file, and the value.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads the configuration. `file` must exist where it is named; `environment` answers for a variable's name; `flags`
    /// are keys of [`KEYS`] with the texts that the command line gave.
    pub fn load(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut table = defaults();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError(format!("cannot read the configuration {}: {error}", path.display())))?;
            let read: Table = text.parse().map_err(|error: toml::de::Error| {
                ConfigError(format!("{}: {}", path.display(), error.to_string().trim_end()))
            })?;
            overlay(&mut table, read, "", &path.display().to_string())?;
        }
        for (name, path) in FOREIGN_VARIABLES {
            if let Some(text) = environment(name) {
                set(&mut table, path, &text, name)?;
            }
        }
        for key in KEYS {
            let name = environment_name(key.path);
            if let Some(text) = environment(&name) {
                set(&mut table, key.path, &text, &name)?;
            }
        }
        for (path, text) in flags {
            set(&mut table, path, text, &format!("--{}", path.replace(['.', '_'], "-")))?;
        }
        let mut config: Self = serde_path_to_error::deserialize(table)
            .map_err(|error| ConfigError(format!("`{}`: {}", error.path(), error.inner().message())))?;
        config.admin_token = match environment("CAMSHAFT_ADMIN_TOKEN") {
            Some(text) if text.trim().len() < 8 => {
                return Err(ConfigError("CAMSHAFT_ADMIN_TOKEN is shorter than 8 characters".to_owned()));
            }
            text => text.map(|text| AdminToken(text.trim().to_owned())),
        };
        Ok(config)
    }

    /// Refuses a variable's name that was probably meant as one of ours: what it should have set would stay at its default,
    /// and nobody would be told. Names that resemble none of ours belong to others, `CAMSHAFT_PORT` to Kubernetes.
    pub fn check_names(names: impl IntoIterator<Item = String>) -> Result<(), ConfigError> {
        let own: Vec<_> = KEYS.iter().map(|key| environment_name(key.path)).collect();
        let sections: BTreeSet<_> = KEYS.iter().filter_map(|key| key.path.split_once('.')).map(|(of, _)| of).collect();
        for name in names {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if own.contains(&name) || OTHER_VARIABLES.contains(&rest) {
                continue;
            }
            let is_of_a_section = sections.iter().any(|section| {
                rest.strip_prefix(&section.to_ascii_uppercase()).is_some_and(|rest| rest.starts_with('_'))
            });
            let meant = nearest(rest, own.iter().filter_map(|own| own.strip_prefix(PREFIX)));
            if let Some(meant) = &meant {
                return Err(ConfigError(format!("{name} sets nothing; did you mean {PREFIX}{meant}?")));
            }
            if is_of_a_section {
                return Err(ConfigError(format!("{name} sets nothing; `camshaft config` prints every key")));
            }
        }
        Ok(())
    }

    /// The default configuration as a TOML file with a comment for every key.
    pub fn printed_default() -> String {
        let mut text = String::new();
        let mut section = "";
        for key in KEYS {
            let (of, name) = key.path.split_once('.').unwrap_or(("", key.path));
            if of != section {
                text.push_str(&format!("\n[{of}]\n"));
                section = of;
            }
            text.push_str(&format!("# {} ({})\n{name} = {}\n", key.meaning, environment_name(key.path), key.default));
        }
        text
    }
}

/// `limits.body_bytes` is `CAMSHAFT_LIMITS_BODY_BYTES`.
pub fn environment_name(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "_").to_ascii_uppercase())
}

fn defaults() -> Table {
    let mut table = Table::new();
    for key in KEYS {
        let value = key.default.parse().expect("the defaults of the list are TOML values");
        place(&mut table, key.path, value);
    }
    table
}

fn place(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, name)) => {
            let section = table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(section) = section {
                section.insert(name.to_owned(), value);
            }
        }
    }
}

fn overlay(table: &mut Table, over: Table, prefix: &str, source: &str) -> Result<(), ConfigError> {
    for (name, value) in over {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (table.get_mut(&name), value) {
            (None, _) => {
                return Err(ConfigError(format!(
                    "{source}: there is no key `{path}`; `camshaft config` prints every key with its default"
                )));
            }
            (Some(Value::Table(below)), Value::Table(value)) => overlay(below, value, &path, source)?,
            (Some(Value::Table(_)), value) => {
                return Err(ConfigError(format!("{source}: `{path}` is a section, found {value}")));
            }
            (Some(old), value) => *old = value,
        }
    }
    Ok(())
}

/// Sets a key from a text, read as the type of its default; a list's items are separated by commas.
fn set(table: &mut Table, path: &str, text: &str, source: &str) -> Result<(), ConfigError> {
    let Some(key) = KEYS.iter().find(|key| key.path == path) else {
        return Err(ConfigError(format!("{source}: there is no key `{path}`")));
    };
    let value = match key.default.parse::<Value>() {
        Ok(Value::Integer(_)) => Value::Integer(
            text.trim().parse().map_err(|_| ConfigError(format!("{source}: `{text}` is no whole number")))?,
        ),
        Ok(Value::Boolean(_)) => Value::Boolean(
            text.trim().parse().map_err(|_| ConfigError(format!("{source}: `{text}` is neither true nor false")))?,
        ),
        Ok(Value::Array(_)) => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        ),
        _ => Value::String(text.to_owned()),
    };
    place(table, path, value);
    Ok(())
}

#[cfg(test)]
mod tests;
