//! Forgetting ended executions, within a bound on the work of one transaction.
//!
//! ```text
//! ended_at, oldest first ─► plan: what is there, as much as the bounds allow ─► take the rows away
//! ```
//!
//! An execution whose entries are more than the bound goes in several transactions. The first takes its summary and its
//! places in the indexes, so that nobody sees it any more; its row of `ended_at` goes last, and until then leads back to it.

use camshaft_model::ids::ExecutionId;
use camshaft_model::seams::{Prune, Pruned, StoreError};
use camshaft_model::summary::Status;
use redb::ReadableTable;

use super::apply::{Batch, Refusal, table, take};
use super::{codec, tables};

/// A transaction takes no further row away once it has taken so many bytes: each row is read before it goes.
const BYTES_MAX: usize = 4 << 20;

/// What is taken away of an execution.
struct Plan {
    ended_at: [u8; 24],
    id: ExecutionId,
    /// Its status, and its keys in the indexes by workflow and by status; none where an earlier transaction took them.
    indexed: Option<(Status, Vec<u8>, Vec<u8>)>,
    /// Keys in `journals`.
    rows: Vec<[u8; 24]>,
    /// Whether these are all rows that are left.
    is_whole: bool,
}

/// What this transaction may still take away.
struct Left {
    entries: usize,
    bytes: usize,
}

impl Left {
    fn is_nothing(&self) -> bool {
        self.entries == 0 || self.bytes == 0
    }
}

impl Batch<'_> {
    /// Forgets the executions that ended first. Everything is read before the first row goes, so that damage leaves all as
    /// it is.
    pub(crate) fn prune(&mut self, prune: &Prune) -> Result<Pruned, Refusal> {
        let mut left = Left { entries: prune.entries, bytes: BYTES_MAX };
        let mut pruned = Pruned::default();
        let mut plans = Vec::new();
        for ended_at in self.ended(prune)? {
            if plans.len() == prune.limit || left.is_nothing() {
                pruned.more = true;
                break;
            }
            let plan = self.plan(ended_at, &mut left)?;
            pruned.more |= !plan.is_whole;
            plans.push(plan);
        }
        let before = self.grown;
        for plan in &plans {
            self.written = true;
            self.carry_out(plan)?;
            pruned.executions += usize::from(plan.is_whole);
        }
        pruned.bytes = u64::try_from(before - self.grown).unwrap_or(0);
        Ok(pruned)
    }

    /// Rows of `ended_at` that are old enough, and one more than may go, to know whether there are more.
    fn ended(&mut self, prune: &Prune) -> Result<Vec<[u8; 24]>, Refusal> {
        let ended_at = table(&mut self.ended_at, self.transaction, tables::ENDED_AT)?;
        let before = tables::ended_at_key(prune.ended_before, ExecutionId::from_bytes([0; 16]));
        let rows = ended_at.range(..before)?.take(prune.limit.saturating_add(1));
        rows.map(|row| Ok(row?.0.value())).collect()
    }

    fn plan(&mut self, ended_at: [u8; 24], left: &mut Left) -> Result<Plan, Refusal> {
        let id = tables::index_execution(&ended_at)
            .ok_or_else(|| StoreError::Damaged("a key of the ended executions holds none".to_owned()))?;
        let summaries = table(&mut self.summaries, self.transaction, tables::SUMMARIES)?;
        let indexed = match summaries.get(id.as_bytes())? {
            None => None,
            Some(row) => {
                let summary = codec::read_summary(row.value())?;
                let (workspace, status) = (summary.workspace.as_str().as_bytes(), summary.status);
                let by_workflow = codec::by_workflow(&summary);
                Some((status, by_workflow, tables::index_key(tables::status_prefix(workspace, status), id)))
            }
        };
        let journals = table(&mut self.journals, self.transaction, tables::JOURNALS)?;
        let (mut rows, mut is_whole) = (Vec::new(), true);
        for row in journals.range(tables::journal_key(id, 0)..=tables::journal_key(id, u64::MAX))? {
            if left.is_nothing() {
                is_whole = false;
                break;
            }
            let (key, value) = row?;
            let entries = usize::try_from(codec::entries_count(value.value())?).unwrap_or(usize::MAX);
            left.entries = left.entries.saturating_sub(entries);
            left.bytes = left.bytes.saturating_sub(value.value().len());
            rows.push(key.value());
        }
        Ok(Plan { ended_at, id, indexed, rows, is_whole })
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), Refusal> {
        if let Some((status, workflow_key, status_key)) = &plan.indexed {
            let (by_workflow, by_status, grown) = self.indexes(*status)?;
            take(by_workflow, grown, workflow_key.as_slice())?;
            take(by_status, grown, status_key.as_slice())?;
            let summaries = table(&mut self.summaries, self.transaction, tables::SUMMARIES)?;
            take(summaries, &mut self.grown, *plan.id.as_bytes())?;
        }
        let journals = table(&mut self.journals, self.transaction, tables::JOURNALS)?;
        for row in &plan.rows {
            take(journals, &mut self.grown, *row)?;
        }
        if plan.is_whole {
            let ended_at = table(&mut self.ended_at, self.transaction, tables::ENDED_AT)?;
            take(ended_at, &mut self.grown, plan.ended_at)?;
        }
        Ok(())
    }
}
