//! Clients that read their answers slowly, or not at all: they cost little, for a while, and nobody else's place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use camshaft_server::envelope::Envelope;
use camshaft_server::listener::Bounds;

use crate::bench::Bench;
use crate::listening::{exchange, listening_as};

/// More than the system keeps of what is sent and not read.
const LARGE: usize = 32 << 20;
const PIECE: usize = 64 << 10;
const LONG: Duration = Duration::from_secs(3_600);

/// What becomes of answers.
#[derive(Default)]
struct Answers {
    /// Pieces of endless ones that were asked for.
    made: AtomicUsize,
    /// How many were let go of.
    dropped: AtomicUsize,
    moved: Notify,
}

impl Answers {
    async fn until_dropped(&self, count: usize) {
        let dropped = async {
            while self.dropped.load(Ordering::SeqCst) < count {
                self.moved.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), dropped).await.expect("all are let go of");
    }
}

/// One of them, for as long as somebody holds it.
struct Answer(Arc<Answers>);

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
        self.0.moved.notify_one();
    }
}

struct Large(Vec<u8>, #[expect(dead_code, reason = "it is told when it is dropped")] Answer);

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// `/large` is known before it is sent, `/endless` is made while it is.
fn envelope(bench: &Bench, answers: &Arc<Answers>) -> Arc<Envelope> {
    let (of_large, of_endless) = (answers.clone(), answers.clone());
    let large = move || {
        let large = Large(vec![b'x'; LARGE], Answer(of_large.clone()));
        std::future::ready(Body::from(Bytes::from_owner(large)))
    };
    let endless = move || {
        let pieces = stream::unfold(Answer(of_endless.clone()), |answer| async move {
            answer.0.made.fetch_add(1, Ordering::SeqCst);
            Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; PIECE])), answer))
        });
        std::future::ready(Body::from_stream(pieces))
    };
    let router = Router::new().route("/large", get(large)).route("/endless", get(endless));
    let router = router.route("/small", get(|| async { "small" }));
    Arc::new(Envelope::new(router, bench.app.metrics.clone()).unwrap())
}

/// A client that has room for little, and has asked for something.
async fn asking(address: SocketAddr, request: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream
}

fn get_of(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// HTTP/2, with windows for so many bytes: the preface, SETTINGS, and HEADERS of `GET /endless` (RFC 9113; RFC 7541, C.2.2).
fn get_endless_within(window: u32) -> Vec<u8> {
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04".to_vec();
    sent.extend(window.to_be_bytes());
    let fields = b"\x82\x86\x04\x08/endless\x41\x01x";
    sent.extend([0, 0, fields.len() as u8, 1, 5, 0, 0, 0, 1]);
    sent.extend(fields);
    sent
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_let_go_of_and_little_is_made_for_them() {
    let (bench, answers) = (Bench::new().await, Arc::<Answers>::default());
    let bounds = Bounds { idle: Duration::from_millis(20), headers: Duration::from_secs(1), ..Bounds::default() };
    let (address, stop, serving) = listening_as(&bench, envelope(&bench, &answers), bounds).await;
    let requests = [
        get_of("/large"),
        get_of("/endless"),
        get_endless_within(0),
        get_endless_within(1_000),
        get_endless_within(1 << 20),
    ];
    let mut silent = Vec::new();
    for request in &requests {
        silent.push(asking(address, request).await);
    }
    answers.until_dropped(requests.len()).await;
    let made = answers.made.load(Ordering::SeqCst) * PIECE;
    assert!(made <= LARGE, "{made} bytes were made for nobody");
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn who_reads_a_byte_now_and_then_gets_all_of_it_and_holds_up_nobody() {
    let (bench, answers) = (Bench::new().await, Arc::<Answers>::default());
    let bounds = Bounds { idle: LONG, ..Bounds::default() };
    let (address, stop, serving) = listening_as(&bench, envelope(&bench, &answers), bounds).await;
    let (mut large, mut endless) =
        (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    large.write_all(&get_of("/large")).await.unwrap();
    endless.write_all(&get_of("/endless")).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..200 {
        told.push(large.read_u8().await.unwrap());
        endless.read_u8().await.unwrap();
        let mut other = TcpStream::connect(address).await.unwrap();
        let answer = exchange(&mut other, "GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.ends_with("small"), "{answer}");
    }
    while told.len() < LARGE || !told[told.len() - LARGE..].iter().all(|byte| *byte == b'x') {
        assert!(large.read_buf(&mut told).await.unwrap() > 0, "it broke off behind {} bytes", told.len());
    }
    drop((large, endless));
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_full_server_closes_those_that_do_not_read_and_answers_those_that_do() {
    let (bench, answers) = (Bench::new().await, Arc::<Answers>::default());
    let bounds = Bounds { connections: 4, idle: LONG, headers: LONG, ..Bounds::default() };
    let (address, stop, serving) = listening_as(&bench, envelope(&bench, &answers), bounds).await;
    for request in [get_of("/large"), get_of("/endless"), get_endless_within(0), get_endless_within(1_000)] {
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(asking(address, &request).await);
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(&mut stream, "GET /small HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.expect("it is not kept waiting");
        assert!(answer.ends_with("small"), "{answer}");
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}
