//! What one call has used, and which bound it broke.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use camshaft_model::limits::Budget;
use camshaft_model::outcome::{Failure, FailureKind};
use serde_json::json;
use wasmtime::{ResourceLimiter, Result};

/// A bound that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) bound: &'static str,
    pub(crate) limit: u64,
    pub(crate) used: u64,
    pub(crate) unit: &'static str,
}

impl Breach {
    pub(crate) fn failure(self) -> Failure {
        let Self { bound, limit, used, unit } = self;
        let message = format!("{bound}: {used} {unit} of {limit} allowed");
        let details = json!({"bound": bound, "limit": limit, "used": used, "unit": unit});
        Failure { details: Some(details), ..Failure::new(FailureKind::Budget, message) }
    }
}

/// Memory and tables of one call, over all of its instances.
#[derive(Debug)]
pub(crate) struct Meter {
    memory_limit: u64,
    memory: u64,
    pub(crate) memory_peak: u64,
    /// The first bound that was broken.
    pub(crate) breach: Option<Breach>,
}

/// Most elements of a table; the pool has room for as many.
const TABLE_ELEMENTS_MAX: usize = 20_000;

impl Meter {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self { memory_limit: budget.memory_bytes, memory: 0, memory_peak: 0, breach: None }
    }

    /// Notes a breach; the first one counts.
    pub(crate) fn broke(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let wanted = self.memory + (desired.saturating_sub(current)) as u64;
        if wanted > self.memory_limit {
            self.broke(Breach { bound: "memory", limit: self.memory_limit, used: wanted, unit: "bytes" });
            return Ok(false);
        }
        self.memory = wanted;
        self.memory_peak = self.memory_peak.max(wanted);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            let limit = TABLE_ELEMENTS_MAX as u64;
            self.broke(Breach { bound: "table", limit, used: desired as u64, unit: "elements" });
            return Ok(false);
        }
        Ok(true)
    }
}

/// Adds up the time that a future is being polled: the guest on the processor, and the host on its behalf.
pub(crate) struct Busy<F> {
    inner: Pin<Box<F>>,
    spent: Duration,
}

impl<F> Busy<F> {
    pub(crate) fn new(inner: F) -> Self {
        Self { inner: Box::pin(inner), spent: Duration::ZERO }
    }

    /// So far, also where it was stopped half way.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }
}

impl<F: Future> Future for Busy<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begun = Instant::now();
        let polled = self.inner.as_mut().poll(context);
        self.spent += begun.elapsed();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_counts_over_all_memories_at_the_limit_and_one_past_it() {
        let mut meter = Meter::new(&Budget { memory_bytes: 3 << 16, ..Budget::default() });
        assert!(meter.memory_growing(0, 1 << 16, None).unwrap());
        assert!(meter.memory_growing(0, 2 << 16, None).unwrap(), "a second memory, up to the limit");
        assert!(meter.breach.is_none());
        assert!(!meter.memory_growing(1 << 16, 2 << 16, None).unwrap());
        let failure = meter.breach.unwrap().failure();
        assert_eq!(failure.details.unwrap()["bound"], "memory");
        assert!(failure.message.contains("262144 bytes of 196608"), "{}", failure.message);
    }
}
