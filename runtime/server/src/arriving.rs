//! A request's body as it arrives: it has to keep coming, and what nobody wants of it is read away, within bounds.
//!
//! A server that closes a connection whose bytes it has not read makes the kernel send a reset, and the client may lose
//! the answer that was under way to it (RFC 9112, 9.6). So a refusal waits for the rest of a body for a moment.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::connections::{Coming, Connection};

/// Bounds on a body, whatever its size may be.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Longest pause between two pieces of a body.
    pub pause: Duration,
    /// How long a body may take, its first byte to its last.
    pub whole: Duration,
    /// Most bytes that are read away behind a refusal.
    pub rest_bytes: usize,
    /// How long that may take.
    pub rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(20),
            whole: Duration::from_secs(300),
            rest_bytes: 8 << 20,
            rest: Duration::from_secs(2),
        }
    }
}

type AnyBody = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = axum::Error> + Send>>;

/// What came of a body so far, for whoever answers and for whoever cleans up behind them.
struct State {
    body: AnyBody,
    patience: Patience,
    until: Option<Instant>,
    /// Only while nothing comes.
    waiting: Option<Pin<Box<Sleep>>>,
    is_touched: bool,
    /// Its connection hears of each piece, and of the end.
    coming: Option<Coming>,
    /// Nothing comes any more: the end, a fault, or too long a pause.
    is_over: bool,
}

/// The half that is read.
struct Arriving(Arc<Mutex<State>>);

/// The half that reads away what is left.
pub(crate) struct Rest {
    state: Arc<Mutex<State>>,
    /// The client waits for `100 Continue` before it sends anything (RFC 9110, 10.1.1), so there may be nothing to read.
    is_asked_first: bool,
}

impl State {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_touched = true;
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = self.body.as_mut().poll_frame(context) {
            self.waiting = None;
            self.coming.iter().for_each(Coming::touch);
            if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
                self.end();
            }
            return Poll::Ready(frame);
        }
        let now = Instant::now();
        let until = *self.until.get_or_insert(now + self.patience.whole);
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.min(now + self.patience.pause))));
        ready!(waiting.as_mut().poll(context));
        self.end();
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the body comes too slowly");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn end(&mut self) {
        self.is_over = true;
        self.coming = None;
    }
}

impl hyper::body::Body for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0.lock().expect("nobody panics with a body").poll(context)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock().expect("nobody panics with a body");
        state.is_over || state.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().expect("nobody panics with a body").body.size_hint()
    }
}

/// A request of a connection for whoever answers it, and what to do once it is answered. Nothing, where there is no body.
pub(crate) fn bounded<B>(
    request: Request<B>,
    patience: Patience,
    connection: &Arc<Connection>,
) -> (Request<Body>, Option<Rest>)
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return (Request::from_parts(head, Body::empty()), None);
    }
    let is_asked_first = head.headers.contains_key(header::EXPECT);
    let body: AnyBody = Box::pin(body.map_err(axum::Error::new));
    let state = State {
        body,
        patience,
        until: None,
        waiting: None,
        is_touched: false,
        coming: Some(connection.body()),
        is_over: false,
    };
    let state = Arc::new(Mutex::new(state));
    let rest = Rest { state: state.clone(), is_asked_first };
    (Request::from_parts(head, Body::new(Arriving(state))), Some(rest))
}

impl Rest {
    /// Reads away what is left of the body. An end of patience only means that the client gets its answer as it may.
    pub(crate) async fn discard(self) {
        let (mut left, patience) = {
            let state = self.state.lock().expect("nobody panics with a body");
            if state.is_over || (self.is_asked_first && !state.is_touched) {
                return;
            }
            (state.patience.rest_bytes, state.patience)
        };
        let mut body = Arriving(self.state);
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                let read = frame.data_ref().map_or(0, Bytes::len);
                let Some(less) = left.checked_sub(read) else { break };
                left = less;
            }
        };
        let _ = tokio::time::timeout(patience.rest, reading).await;
    }
}
