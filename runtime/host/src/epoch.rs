//! The clock of epochs, by which guests' time is measured: it ticks while any guest runs and a little longer, then it sleeps until the
//! next begins. So a server that nobody calls takes no processor for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// How often the epoch moves: the grain of time budgets, and how long a busy guest may keep a worker from other tasks.
pub(crate) const TICK: Duration = Duration::from_millis(4);
/// Ticks without a guest before the clock sleeps: about a second, so that it is hardly ever woken where there is something to do.
const LINGER: u32 = 250;

/// The clock.
#[derive(Default)]
pub(crate) struct Clock {
    /// Guests that run.
    running: AtomicUsize,
    is_asleep: AtomicBool,
    is_over: AtomicBool,
    thread: OnceLock<Thread>,
}

/// A guest runs for as long as there is this.
pub(crate) struct Running(Arc<Clock>);

impl Clock {
    /// Starts a thread that calls `tick` until it answers no, or the clock is stopped.
    pub(crate) fn start(tick: impl FnMut() -> bool + Send + 'static) -> std::io::Result<Arc<Self>> {
        Self::start_with(LINGER, tick)
    }

    fn start_with(linger: u32, mut tick: impl FnMut() -> bool + Send + 'static) -> std::io::Result<Arc<Self>> {
        let clock = Arc::new(Self::default());
        let of = clock.clone();
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || of.run(linger, &mut tick))?;
        // Set once, here.
        let _ = clock.thread.set(thread.thread().clone());
        Ok(clock)
    }

    /// A guest begins to run.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        if self.is_asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(self.clone())
    }

    /// The thread ends.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        self.thread.get().inspect(|thread| thread.unpark());
    }

    fn run(&self, linger: u32, tick: &mut dyn FnMut() -> bool) {
        let mut idle = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            idle = if self.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
            if idle > linger {
                // First said, then asked once more: whoever begins in between sees the one or is seen by the other.
                self.is_asleep.store(true, Ordering::SeqCst);
                if self.running.load(Ordering::SeqCst) == 0 && !self.is_over.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                self.is_asleep.store(false, Ordering::SeqCst);
                idle = 0;
                continue;
            }
            std::thread::sleep(TICK);
            if !tick() {
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_ticks_while_somebody_runs_sleeps_when_nobody_does_and_wakes_again() {
        let (ticked, ticks) = mpsc::channel();
        let clock = Clock::start_with(0, move || ticked.send(()).is_ok()).unwrap();
        for _ in 0..3 {
            let (one, other) = (clock.running(), clock.running());
            ticks.recv().unwrap();
            drop(one);
            ticks.iter().nth(1).unwrap();
            drop(other);
            while !clock.is_asleep.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        clock.stop();
        // Until whoever ticks is gone, with the thread.
        ticks.iter().for_each(drop);
    }
}
