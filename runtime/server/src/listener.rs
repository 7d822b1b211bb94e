//! The accept loop: connections with a bound on their number and on the time that they may take for nothing, and a graceful end.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::arriving::{Patience, bounded};
use crate::connections::{Connection, Connections, Heard, held};
use crate::envelope::Envelope;

/// How long requests under way may take once the server was asked to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long connections may take to close after that.
const CLOSING: Duration = Duration::from_secs(2);
/// A pause where there is no room for another connection, here or in the system (`EMFILE`).
const NO_ROOM: Duration = Duration::from_millis(50);
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// Connections that the kernel keeps until they are accepted, where the system allows so many (`net.core.somaxconn`). One more is not
/// heard, and its client tries again a second later.
const BACKLOG: u32 = 4_096;

/// Listens on an address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What clients may take of the server.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once. One more closes some that nothing was heard of for the longest.
    pub connections: usize,
    /// How long the headers of a request may take, and the first byte of a connection.
    pub headers: Duration,
    /// How long a connection may be kept between two requests, and how long a client may take nothing of an answer that is there. A
    /// connection of HTTP/1 is asked for its next headers meanwhile.
    pub idle: Duration,
    /// Bounds on a body.
    pub patience: Patience,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 16_384,
            headers: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            patience: Patience::default(),
        }
    }
}

/// Answers connections until `stop` is ready; then takes no new ones, lets requests under way finish for a moment, calls
/// `settle`, and lets the remaining connections close.
pub async fn listen<S: Future<Output = ()>>(
    listener: TcpListener,
    envelope: Arc<Envelope>,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
    settle: impl FnOnce() -> S,
) {
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(bounds.headers);
    server.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS_MAX);
    let server = Arc::new(server);
    let (going, gone) = watch::channel(());
    let connections = Connections::new();
    let room = Arc::new(Semaphore::new(bounds.connections));

    let mut stop = pin!(stop);
    loop {
        if room.available_permits() == 0 {
            connections.make_room();
        }
        let place = tokio::select! {
            biased;
            () = &mut stop => break,
            place = room.clone().acquire_owned() => place.expect("nobody closes the semaphore"),
            // All wanted something a moment ago.
            () = tokio::time::sleep(NO_ROOM) => continue,
        };
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // The peer may be gone already, which concerns nobody; too many open files does.
                    tracing::debug!(%error, "a connection was not accepted");
                    if error.kind() != io::ErrorKind::ConnectionAborted {
                        connections.make_room();
                        tokio::time::sleep(NO_ROOM).await;
                    }
                    continue;
                }
            },
        };
        // An answer is written at once; waiting for more of it to send would only delay it.
        let _ = stream.set_nodelay(true);
        let (envelope, opened) = (envelope.clone(), connections.open());
        let connection = opened.connection.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (envelope, under_way) = (envelope.clone(), connection.request());
            let (request, rest) = bounded(request, bounds.patience, &connection);
            async move {
                let answer = envelope.answer(request, Some(peer)).await;
                if let Some(rest) = rest {
                    rest.discard().await;
                }
                Ok::<_, std::convert::Infallible>(held(answer, under_way))
            }
        });
        let stream = Heard { stream, connection: opened.connection.clone() };
        let serving = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let gone = gone.clone();
        tokio::spawn(async move {
            serve(serving, &opened.connection, bounds, gone).await;
            drop(place);
        });
    }

    drop((listener, gone));
    going.send_replace(());
    let is_closed = tokio::time::timeout(GRACE, going.closed()).await.is_ok();
    settle().await;
    if !is_closed {
        let _ = tokio::time::timeout(CLOSING, going.closed()).await;
    }
}

/// Serves a connection until it ends: by itself, because it wants nothing for too long, because its place is needed, or because the
/// server stops.
async fn serve<C>(serving: C, connection: &Connection, bounds: Bounds, mut stop: watch::Receiver<()>)
where
    C: GracefulConnection<Error: std::fmt::Display>,
{
    let mut serving = pin!(serving);
    let mut is_asked_to_close = false;
    let mut look_at = Instant::now() + bounds.headers;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "a connection broke off");
                }
                return;
            }
            () = connection.closing.notified() => return,
            _ = stop.changed(), if !is_asked_to_close => {
                is_asked_to_close = true;
                serving.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep_until(look_at) => {
                let allowed = if connection.has_asked() { bounds.idle } else { bounds.headers };
                let now = Instant::now();
                look_at = connection.idle_since().map_or(now, |since| since) + allowed;
                if look_at > now {
                    continue;
                }
                // There is no good-bye for who takes nothing: it would stand behind what is not taken.
                if is_asked_to_close || connection.is_untaken() {
                    return;
                }
                // Whoever speaks HTTP/2 is told, and has a moment to say good-bye.
                is_asked_to_close = true;
                serving.as_mut().graceful_shutdown();
                look_at = now + CLOSING;
            }
        }
    }
}
