//! The accept loop: connections with a bound on their number and on the time that headers may take, and a graceful end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::arriving::{Patience, bounded};
use crate::envelope::Envelope;

/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// How long the headers of a request may take, the first byte to the last.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// How long requests under way may take once the server was asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long connections may take to close after that.
const CLOSING: Duration = Duration::from_secs(2);
/// A pause where the system has no room for another connection (`EMFILE`).
const NO_ROOM: Duration = Duration::from_millis(50);
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// Answers connections until `stop` is ready; then takes no new ones, lets requests under way finish for a moment, calls
/// `settle`, and lets the remaining connections close.
pub async fn listen<S: Future<Output = ()>>(
    listener: TcpListener,
    envelope: Arc<Envelope>,
    patience: Patience,
    stop: impl Future<Output = ()>,
    settle: impl FnOnce() -> S,
) {
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let server = Arc::new(server);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));

    let mut stop = pin!(stop);
    loop {
        let place = tokio::select! {
            biased;
            () = &mut stop => break,
            place = room.clone().acquire_owned() => place.expect("nobody closes the semaphore"),
        };
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The peer may be gone already, which concerns nobody; too many open files does.
                    tracing::debug!(%error, "a connection was not accepted");
                    tokio::time::sleep(NO_ROOM).await;
                    continue;
                }
            },
        };
        // An answer is written at once; waiting for more of it to send would only delay it.
        let _ = stream.set_nodelay(true);
        let envelope = envelope.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let envelope = envelope.clone();
            async move {
                let (request, rest) = bounded(request, patience);
                let answer = envelope.answer(request, Some(peer)).await;
                if let Some(rest) = rest {
                    rest.discard().await;
                }
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection broke off");
            }
            drop(place);
        });
    }

    drop(listener);
    let mut closing = pin!(graceful.shutdown());
    let is_closed = tokio::time::timeout(GRACE, &mut closing).await.is_ok();
    settle().await;
    if !is_closed {
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}
