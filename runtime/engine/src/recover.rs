//! Taking up what a former server left open.

use std::sync::Arc;
use std::time::Duration;

use camshaft_model::seams::{Claim, StoreError};
use camshaft_model::state::State;

use crate::Engine;
use crate::drive::Driver;

/// Open executions that are loaded at once.
const PAGE: usize = 256;
/// How long a claimed execution is ours before another server may take it. The embedded store has no other.
const LEASE: Duration = Duration::from_secs(30);

impl Engine {
    /// Folds the journal of every open execution and goes on with it. Returns how many go on. One that cannot be read is
    /// reported and left as it is; it keeps nobody else from going on.
    pub async fn recover(self: &Arc<Self>) -> Result<usize, StoreError> {
        let mut resumed = 0;
        let mut after = None;
        loop {
            let claims = self.parts.store.claim(after, PAGE, LEASE).await?;
            let Some(last) = claims.last() else {
                return Ok(resumed);
            };
            after = Some(last.id);
            for claim in claims {
                // Accepted since this server began, and driven already. Ids are ordered by time, so none follows.
                if claim.id >= self.first {
                    return Ok(resumed);
                }
                let id = claim.id;
                match self.take_up(claim).await {
                    Ok(true) => resumed += 1,
                    Ok(false) => {}
                    Err(why) => {
                        tracing::error!(execution = %id, why, "an open execution cannot go on")
                    }
                }
            }
        }
    }

    async fn take_up(self: &Arc<Self>, claim: Claim) -> Result<bool, String> {
        let entries = self.parts.store.entries(claim.id, 0, usize::MAX).await.map_err(|error| error.to_string())?;
        let state = State::fold(&entries).map_err(|illegal| illegal.to_string())?;
        let Some(state) = state else {
            return Err("its journal is empty".to_owned());
        };
        if state.outcome.is_some() {
            // It ended between the claim and now.
            return Ok(false);
        }
        let invocation = &state.invocation;
        let published = self
            .parts
            .directory
            .revision(&invocation.workspace, &invocation.revision, &invocation.environment)
            .await
            .map_err(|error| error.to_string())?;
        Driver::spawn(self, published, state, Vec::new(), None, claim.fence);
        Ok(true)
    }
}
