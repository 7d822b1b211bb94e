//! The plugins that the binary carries: registered once under their digests, so that a later start finds them in the
//! store and neither compiles nor asks them anything.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use camshaft_model::ids::{Digest, Name};
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::{Clock, Ids, Store};
use futures::future::try_join_all;

use crate::catalog::{Catalog, specs};
use crate::inspector::Inspector;

mod embedded {
    #![allow(missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

pub use embedded::{EMBEDDED, MISSING};

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
    let new = shipped.iter().filter(|plugin| !known.contains(&plugin.digest));
    let inspected = try_join_all(new.map(async |plugin| {
        let release = inspector
            .inspect(Bytes::from_static(plugin.component))
            .await
            .with_context(|| format!("the shipped plugin `{}` is refused", plugin.name))?;
        anyhow::Ok((plugin, release))
    }))
    .await?;
    if inspected.is_empty() {
        return Ok(());
    }

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
