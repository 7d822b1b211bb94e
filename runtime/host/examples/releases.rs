//! What components say of themselves, as the server keeps it: `releases FILE…` prints one JSON array. The binary carries it beside
//! the components, so that a first start compiles and asks none of them.

use std::sync::Arc;

use camshaft_host::{Components, Host, HostConfig};
use camshaft_model::ids::{Digest, Name, SecretName};
use camshaft_model::limits::Budget;
use camshaft_model::plugin::{Grant, PluginRelease};
use camshaft_model::seams::{Permissions, StoreError};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Nothing is stored, granted or known here.
struct Nothing;

impl Components for Nothing {
    fn bytes(&self, _: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        async { Ok(None) }.boxed()
    }
}

impl Permissions for Nothing {
    fn grant(&self, _: &Name, _: &Name) -> Arc<Grant> {
        Arc::default()
    }

    fn secret(&self, _: &Name, _: &Name, _: &SecretName) -> Option<String> {
        None
    }
}

fn main() -> Result<(), String> {
    let files: Vec<_> = std::env::args().skip(1).collect();
    let config = HostConfig {
        cache_dir: None,
        cache_key: [0; 32],
        budget: Budget::default(),
        instances_max: 16,
        stand_in: None,
    };
    let host = Host::new(config, Arc::new(Nothing), Arc::new(Nothing)).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let inspected = files.iter().map(async |file| {
        let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        host.inspect(bytes).await.map_err(|error| format!("{file}: {error}"))
    });
    let releases: Vec<PluginRelease> = runtime.block_on(futures::future::try_join_all(inspected))?;
    println!("{}", serde_json::to_string_pretty(&releases).map_err(|error| error.to_string())?);
    Ok(())
}
