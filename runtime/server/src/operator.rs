//! The first token: made at the first start, written to a file that only its owner reads.

use anyhow::Result;
use camshaft_model::ids::Name;
use camshaft_model::resource::{Change, Expect, ResourceKind};
use camshaft_model::seams::{Clock, Ids};

use crate::catalog::{Catalog, specs};
use crate::folder::DataFolder;
use crate::tokens::{Scope, TokenSpec, mint};

const FILE: &str = "admin-token";

/// Makes an operator's token where there is none, and tells on the log where it is.
pub async fn first_token(
    folder: &DataFolder,
    catalog: &Catalog,
    workspace: &Name,
    (ids, clock): (&dyn Ids, &dyn Clock),
) -> Result<()> {
    let now = clock.now();
    let valid = |spec: &TokenSpec| spec.scope == Scope::Operator && spec.expires_at.is_none_or(|end| end > now);
    if catalog.tokens_kept(workspace).iter().any(|kept| valid(&kept.spec)) {
        return Ok(());
    }
    let id = ids.resource();
    let minted = mint(id)?;
    // The file first: a crash in between leaves a file without a token, and the next start makes both anew.
    let path = folder.write_private(FILE, &format!("{}\n", minted.text))?;
    let spec = TokenSpec {
        label: FILE.to_owned(),
        scope: Scope::Operator,
        digest: minted.digest,
        expires_at: None,
        last_used_at: None,
    };
    let resource = specs::resource(specs::key(ResourceKind::Token, workspace, id), id, &spec, now);
    catalog.change(vec![Change::Put { resource, expect: Expect::Absent }]).await?;
    tracing::info!(path = %path.display(), "an operator's token was made; it is in this file");
    Ok(())
}
