//! The connections there are, and whose place a new one takes where there is none left.
//!
//! A connection that wants nothing, or whose request does not come on, is worth less than one that comes with a request. So a full
//! server does not turn anybody away and does not wait for anybody: it closes those that it has heard nothing of for the longest. One whose
//! client does not take its answer is worth no more than one whose request does not come on.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A full server closes one in so many of its connections at once, so that it looks at all of them seldom.
const ONE_IN: usize = 64;
/// An answer of known length up to this is made at once; of a longer one no more than this is handed out at a time.
const SHORT_BYTES: usize = 64 << 10;

/// For how long a new one counts as one that wants something: what it asks is on its way.
const NEW: Duration = Duration::from_secs(1);

/// All of them.
pub(crate) struct Connections {
    all: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { all: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// A new one.
    pub(crate) fn open(self: &Arc<Self>) -> Opened {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new());
        self.lock().insert(number, connection.clone());
        Opened { all: self.clone(), number, connection }
    }

    /// Closes some of those that want nothing, the ones first that nothing was heard of for the longest; where all want something, some
    /// of those whose request has not come to its end, or whose answer is there and not taken. Those that wait for an answer are never
    /// closed.
    pub(crate) fn make_room(&self) {
        let all = self.lock();
        let mut worth_less: Vec<_> =
            all.values().filter_map(|connection| Some((connection.worth()?, connection))).collect();
        let count = (all.len() / ONE_IN).max(1).min(worth_less.len());
        if count == 0 {
            return;
        }
        worth_less.select_nth_unstable_by_key(count - 1, |(worth, _)| *worth);
        worth_less[..count].iter().for_each(|(_, connection)| connection.closing.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them; it leaves the others when this is dropped.
pub(crate) struct Opened {
    all: Arc<Connections>,
    number: u64,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.all.lock().remove(&self.number);
    }
}

/// What is known of one.
pub(crate) struct Connection {
    since: Instant,
    /// When something came from its client, or went to it: nanoseconds behind `since`.
    heard: AtomicU64,
    /// Requests that are not answered yet.
    requests: AtomicUsize,
    /// Those of them of which not all has come.
    coming: AtomicUsize,
    /// Those of them of whose answer there is a piece that the client has no room for yet.
    untaken: AtomicUsize,
    /// When there was room for one: nanoseconds behind `since`.
    taken: AtomicU64,
    /// Whether there was a request.
    has_asked: AtomicBool,
    /// Somebody else needs its place.
    pub(crate) closing: Notify,
}

impl Connection {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            heard: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            coming: AtomicUsize::new(0),
            untaken: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            has_asked: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    /// The headers of a request have come. It is under way until what this returns is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_asked.store(true, Ordering::Relaxed);
        self.touch();
        UnderWay(self.clone())
    }

    /// A request has a body. It comes until what this returns is dropped.
    pub(crate) fn body(self: &Arc<Self>) -> Coming {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Coming(self.clone())
    }

    /// Since when it wants nothing any more, or takes nothing of what it wanted: none while there is something for the server to do.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let (requests, untaken) = (self.requests.load(Ordering::Relaxed), self.untaken.load(Ordering::Relaxed));
        (requests <= untaken).then(|| self.moved_at())
    }

    /// Whether its client does not take what is there for it.
    pub(crate) fn is_untaken(&self) -> bool {
        self.untaken.load(Ordering::Relaxed) > 0
    }

    /// Whether there ever was a request.
    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        self.heard.store(self.since.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// When something moved last. Whoever takes nothing of an answer is not to be kept by what they say meanwhile.
    fn moved_at(&self) -> Instant {
        let moved = if self.is_untaken() { &self.taken } else { &self.heard };
        self.since + Duration::from_nanos(moved.load(Ordering::Relaxed))
    }

    /// Whether a request is coming, or may be, or an answer going, and when something of it did; the least goes first. None while an
    /// answer is waited for.
    fn worth(&self) -> Option<(bool, Instant)> {
        let [requests, coming, untaken] =
            [&self.requests, &self.coming, &self.untaken].map(|count| count.load(Ordering::Relaxed));
        let is_new = || !self.has_asked() && self.since.elapsed() < NEW;
        (requests <= coming + untaken).then(|| (requests > 0 || is_new(), self.moved_at()))
    }

    fn offer(&self) {
        self.taken.store(self.since.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.untaken.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) {
        self.untaken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request of whose answer not all is taken yet.
pub(crate) struct UnderWay(Arc<Connection>);

/// The socket of a connection, which hears of every byte that comes and goes.
pub(crate) struct Heard<S> {
    pub(crate) stream: S,
    pub(crate) connection: Arc<Connection>,
}

impl<S> Heard<S> {
    fn moved<T>(&self, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(moved, Poll::Ready(Ok(_))) {
            self.connection.touch();
        }
        moved
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.moved(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.moved(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.moved(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// An answer whose request is under way until all of it is taken: one that goes on may be silent for long. A short one is made at once;
/// while it is sent, its socket is heard of.
pub(crate) fn held(answer: Response<Body>, under_way: UnderWay) -> Response<Body> {
    match answer.body().size_hint().exact() {
        Some(bytes) if bytes <= SHORT_BYTES as u64 => answer,
        _ => {
            under_way.0.offer();
            answer.map(|body| Body::new(Held { body, rest: Bytes::new(), is_offered: true, under_way }))
        }
    }
}

/// A body in pieces. Whoever sends it asks for one once there is room for it, and not before (HTTP/1: in the socket; HTTP/2: in the
/// window that the client opens), so it shows whether the client takes what it has asked for.
struct Held {
    body: Body,
    /// What is left of the piece that the body gave last.
    rest: Bytes,
    /// There is a piece, or may be one, and it was not asked for yet.
    is_offered: bool,
    under_way: UnderWay,
}

impl Held {
    fn take(&mut self) {
        if std::mem::take(&mut self.is_offered) {
            self.under_way.0.take();
        }
    }

    fn offer(&mut self, mut piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.rest = piece.split_off(piece.len().min(SHORT_BYTES));
        self.is_offered = true;
        self.under_way.0.offer();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.take();
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            return self.offer(rest);
        }
        match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(piece) => self.offer(piece),
                Err(trailers) => Poll::Ready(Some(Ok(trailers))),
            },
            other => Poll::Ready(other),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.take();
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// A body of which not all has come.
pub(crate) struct Coming(Arc<Connection>);

impl Coming {
    /// A piece of it has come.
    pub(crate) fn touch(&self) {
        self.0.touch();
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    fn is_closing(opened: &Opened) -> bool {
        opened.connection.closing.notified().now_or_never().is_some()
    }

    #[test]
    fn who_was_not_heard_of_for_the_longest_goes_first_and_who_waits_for_an_answer_never() {
        let all = Connections::new();
        let answered = all.open();
        let waiting = answered.connection.request();
        let half = all.open();
        let (_request, body) = (half.connection.request(), half.connection.body());
        let (idle, idle_later) = (all.open(), all.open());
        [&idle, &idle_later].into_iter().for_each(|opened| drop(opened.connection.request()));
        all.make_room();
        assert_eq!([&answered, &half, &idle, &idle_later].map(is_closing), [false, false, true, false]);
        drop(idle);
        all.make_room();
        assert_eq!([&answered, &half, &idle_later].map(is_closing), [false, false, true]);
        drop(idle_later);

        // A body that comes on is worth more than one that does not.
        let other = all.open();
        let (_other_request, _other_body) = (other.connection.request(), other.connection.body());
        body.touch();
        all.make_room();
        assert_eq!([&answered, &half, &other].map(is_closing), [false, false, true]);
        drop(other);

        // All of it has come: now its answer is under way.
        drop(body);
        all.make_room();
        assert_eq!([&answered, &half].map(is_closing), [false, false]);
        drop(waiting);
        all.make_room();
        assert_eq!([&answered, &half].map(is_closing), [true, false]);
    }

    #[test]
    fn a_new_one_does_not_go_before_its_request_can_have_come() {
        let all = Connections::new();
        let half = all.open();
        let (_request, _body) = (half.connection.request(), half.connection.body());
        let new = all.open();
        all.make_room();
        assert_eq!([&half, &new].map(is_closing), [true, false]);
        drop(half);
        all.make_room();
        assert!(is_closing(&new), "it is the only one");
    }

    #[test]
    fn who_does_not_take_an_answer_goes_before_who_waits_for_one_whatever_is_said_meanwhile() {
        let all = Connections::new();
        let (slow, waits) = (all.open(), all.open());
        let (_asked, waiting) = (slow.connection.request(), waits.connection.request());
        slow.connection.offer();
        let since = slow.connection.idle_since().expect("there is nothing to do for it");
        slow.connection.touch();
        assert_eq!(slow.connection.idle_since(), Some(since));
        assert_eq!(waits.connection.idle_since(), None);
        all.make_room();
        assert_eq!([&slow, &waits].map(is_closing), [true, false]);
        slow.connection.take();
        assert_eq!(slow.connection.idle_since(), None, "the next piece is being made");
        drop(waiting);
        all.make_room();
        assert_eq!([&slow, &waits].map(is_closing), [false, true]);
    }

    #[tokio::test]
    async fn a_long_answer_is_handed_out_in_pieces_and_is_whole() {
        let all = Connections::new();
        let opened = all.open();
        let long = Bytes::from((0..300_000_u32).map(|at| at as u8).collect::<Vec<_>>());
        let mut answer = held(Response::new(Body::from(long.clone())), opened.connection.request());
        let mut told = Vec::new();
        while !answer.body().is_end_stream() {
            assert!(opened.connection.is_untaken());
            assert_eq!(answer.body().size_hint().exact(), Some((long.len() - told.len()) as u64));
            let piece = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= SHORT_BYTES);
            told.extend_from_slice(&piece);
        }
        assert!(told == long);
        drop(answer);
        assert!(!opened.connection.is_untaken() && opened.connection.idle_since().is_some());
    }
}
