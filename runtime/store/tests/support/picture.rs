//! Everything that a store shows, to compare two of them.

use std::time::Duration;

use camshaft_model::ids::{Digest, ExecutionId};
use camshaft_model::invocation::DeliveryKey;
use camshaft_model::resource::ResourceKind;
use camshaft_model::seams::{CountKey, Store, SummaryQuery};
use camshaft_model::summary::Status;
use camshaft_model::time::Timestamp;

use super::{name, workflow_id};

/// What there may be in a store, beside resources.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub executions: Vec<ExecutionId>,
    pub deliveries: Vec<DeliveryKey>,
    pub blobs: Vec<Digest>,
    pub counts: Vec<CountKey>,
}

/// Everything, as lines of text. Fences are left out: each opening makes a new one.
pub async fn picture(store: &dyn Store, known: &Known) -> Vec<String> {
    let mut lines = Vec::new();
    for id in &known.executions {
        let entries = store.entries(*id, 0, usize::MAX).await.unwrap();
        lines.push(format!("{id}: {:?} {entries:?}", store.summary(*id).await.unwrap()));
    }
    let statuses = Status::ALL.into_iter().map(|status| vec![status]).chain([vec![]]);
    for statuses in statuses {
        for workspace in [None, Some(name("default")), Some(name("other"))] {
            for workflow in [None, Some(workflow_id(1)), Some(workflow_id(2))] {
                let (workspace, statuses) = (workspace.clone(), statuses.clone());
                let label = format!("{workspace:?} {workflow:?} {statuses:?}");
                let query = SummaryQuery { workspace, workflow, statuses, before: None, limit: usize::MAX };
                let ids: Vec<_> = store.summaries(query).await.unwrap().into_iter().map(|summary| summary.id).collect();
                lines.push(format!("{label}: {ids:?}"));
            }
        }
    }
    let claims = store.claim(None, usize::MAX, Duration::ZERO).await.unwrap();
    lines.push(format!("open: {:?}", claims.iter().map(|claim| &claim.summary).collect::<Vec<_>>()));
    for key in &known.deliveries {
        lines.push(format!("{key:?}: {:?}", store.delivery(key, Timestamp(0)).await.unwrap()));
    }
    for key in &known.counts {
        lines.push(format!("{key:?}: {}", store.count(key).await.unwrap()));
    }
    for kind in ResourceKind::ALL {
        for resource in store.resources(kind, None, None, usize::MAX).await.unwrap() {
            lines.push(format!("{resource:?}"));
        }
    }
    for digest in &known.blobs {
        let blob = store.blob(*digest).await.unwrap();
        lines.push(format!(
            "{digest}: {:?}",
            blob.map(|bytes| (bytes.len(), bytes.iter().all(|byte| *byte == bytes[0])))
        ));
    }
    lines
}

/// The first line that differs, for people.
pub fn difference(left: &[String], right: &[String]) -> String {
    let differing = left.iter().zip(right).find(|(left, right)| left != right);
    differing.map_or_else(
        || format!("{} lines and {} lines", left.len(), right.len()),
        |(left, right)| format!("\n  {left}\n  {right}"),
    )
}
