//! Whether the server is ready: its shipped plugins are there, what a former server left open goes on, and nobody has asked
//! it to stop.

use tokio::sync::watch;

/// How far the start has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reached {
    shipped: bool,
    recovered: bool,
    stopping: bool,
}

/// Tells how far the start has come, to whoever asks or waits.
#[derive(Debug)]
pub struct Readiness {
    reached: watch::Sender<Reached>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { reached: watch::Sender::new(Reached::default()) }
    }
}

impl Readiness {
    /// The shipped plugins are registered.
    pub fn shipped(&self) {
        self.reached.send_modify(|reached| reached.shipped = true);
    }

    /// Executions that were open at the start go on.
    pub fn recovered(&self) {
        self.reached.send_modify(|reached| reached.recovered = true);
    }

    /// The server is asked to stop: answers that go on for ever end now.
    pub fn stop(&self) {
        self.reached.send_modify(|reached| reached.stopping = true);
    }

    /// What is still missing; none where the server is ready.
    pub fn missing(&self) -> Option<&'static str> {
        match *self.reached.borrow() {
            Reached { stopping: true, .. } => Some("the server is stopping"),
            Reached { shipped: false, .. } => Some("the shipped plugins are being registered"),
            Reached { recovered: false, .. } => Some("executions of a former server are being taken up"),
            _ => None,
        }
    }

    /// Waits until the server is asked to stop.
    pub async fn until_stopping(&self) {
        // An error would mean that the sender is gone, and we hold it.
        let _ = self.reached.subscribe().wait_for(|reached| reached.stopping).await;
    }

    /// Waits until the shipped plugins are registered: who uploads a workflow right after the first start shall find them.
    pub async fn until_shipped(&self) {
        if self.reached.borrow().shipped {
            return;
        }
        self.until(|reached| reached.shipped).await;
    }

    /// Waits until nothing is missing any more.
    pub async fn until_ready(&self) {
        self.until(|reached| reached.shipped && reached.recovered).await;
    }

    async fn until(&self, enough: impl FnMut(&Reached) -> bool) {
        // An error would mean that the sender is gone, and we hold it.
        let _ = self.reached.subscribe().wait_for(enough).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_server_is_ready_once_everything_is_there() {
        let readiness = Readiness::default();
        assert!(readiness.until_shipped().now_or_never().is_none());
        readiness.recovered();
        assert!(readiness.missing().unwrap().contains("plugins"));
        readiness.shipped();
        assert_eq!(readiness.missing(), None);
        assert!(readiness.until_shipped().now_or_never().is_some());
    }
}
