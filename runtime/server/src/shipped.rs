//! The plugins that the binary carries: registered once under their digests. What they say of themselves was asked when the binary
//! was built, so that no start compiles them; their first use does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use camshaft_model::ids::{Digest, Name};
use camshaft_model::plugin::PluginRelease;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::{Clock, Ids, Store};
use futures::future::try_join_all;

use crate::catalog::{Catalog, specs};
use crate::inspector::Inspector;

mod embedded {
    #![allow(missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

pub use embedded::{EMBEDDED, MISSING, RELEASES};

/// The component that evaluates jq; no plugin of anybody's workflows.
const EXPRESSION: &str = "expression";

/// A plugin that is to be there from the first start on.
#[derive(Debug, Clone)]
pub struct Shipped {
    /// Its file's name, for messages.
    pub name: &'static str,
    /// Digest of its component.
    pub digest: Digest,
    /// Its component.
    pub component: &'static [u8],
}

/// Every plugin in this binary.
pub fn plugins() -> Vec<Shipped> {
    let all = EMBEDDED.iter().filter(|(name, ..)| *name != EXPRESSION);
    all.map(|(name, digest, component)| Shipped { name, digest: Digest(*digest), component }).collect()
}

/// The component that evaluates jq.
pub fn expression() -> Result<&'static [u8]> {
    check_built()?;
    let found = EMBEDDED.iter().find(|(name, ..)| *name == EXPRESSION);
    found.map(|(.., component)| *component).context("this binary was built without its expression component")
}

/// Refuses a binary that lacks what it should carry.
pub fn check_built() -> Result<()> {
    if !MISSING.is_empty() {
        bail!("this binary was built without {}: run `cargo xtask plugins`, then build again", MISSING.join(", "));
    }
    Ok(())
}

/// What is known of them from when the binary was built.
fn releases() -> Result<HashMap<Digest, PluginRelease>> {
    let releases: Vec<PluginRelease> =
        serde_json::from_str(RELEASES).context("what the binary knows of its plugins cannot be read")?;
    Ok(releases.into_iter().map(|release| (release.digest, release)).collect())
}

/// Registers what is not registered yet. An operator's own release of the same name and version stays.
pub async fn register(
    shipped: &[Shipped],
    workspace: &Name,
    catalog: &Arc<Catalog>,
    store: &Arc<dyn Store>,
    inspector: &Arc<dyn Inspector>,
    (ids, clock): (&Arc<dyn Ids>, &Arc<dyn Clock>),
) -> Result<()> {
    let known: HashSet<Digest> = catalog.all_releases(workspace, None).iter().map(|kept| kept.spec.digest).collect();
    let new: Vec<_> = shipped.iter().filter(|plugin| !known.contains(&plugin.digest)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let releases = releases()?;
    let inspected = try_join_all(new.into_iter().map(async |plugin| {
        if let Some(release) = releases.get(&plugin.digest) {
            return Ok((plugin, release.clone()));
        }
        let release = inspector
            .inspect(Bytes::from_static(plugin.component))
            .await
            .with_context(|| format!("the shipped plugin `{}` is refused", plugin.name))?;
        anyhow::Ok((plugin, release))
    }))
    .await?;

    let _editing = catalog.edit().await;
    let mut changes = Vec::new();
    for (plugin, mut release) in inspected {
        release.shipped = true;
        let before = catalog.release(workspace, &release.name, &release.version);
        let expect = match &before {
            Some(kept) if !kept.spec.shipped => {
                let (name, version) = (&release.name, &release.version);
                tracing::warn!(%name, %version, "an uploaded plugin stands in place of the shipped one");
                continue;
            }
            Some(kept) => Expect::Generation(kept.generation),
            None => Expect::Absent,
        };
        // Revisions pin digests: the bytes must be there when a later binary carries others.
        store.put_blob(plugin.digest, plugin.component.to_vec()).await?;
        let key = specs::key(ResourceKind::Plugin, workspace, format!("{}@{}", release.name, release.version));
        let id = before.as_ref().map_or_else(|| ids.resource(), |kept| kept.id);
        changes.push(Change::Put { resource: specs::resource(key, id, &release, clock.now()), expect });
    }
    catalog.change(changes).await?;
    Ok(())
}
