//! The accept loop over a real socket: ids on every answer, peers known, a graceful end.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use camshaft_server::arriving::Patience;
use camshaft_server::envelope::Envelope;
use camshaft_server::listener::{Bounds, listen};

use crate::bench::Bench;

/// A bench that listens; sending on the channel asks it to stop.
async fn listening(bench: &Bench) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    listening_with(bench, Bounds::default()).await
}

async fn listening_with(
    bench: &Bench,
    bounds: Bounds,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    listening_as(bench, bench.envelope.clone(), bounds).await
}

/// The same with something else in the envelope.
pub async fn listening_as(
    bench: &Bench,
    envelope: Arc<Envelope>,
    bounds: Bounds,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let engine = bench.engine.clone();
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        listen(listener, envelope, bounds, stopped, || async { engine.stop().await }).await;
    });
    (address, stop, serving)
}

pub async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 65_536];
    let mut length = 0;
    loop {
        let read = stream.read(&mut answer[length..]).await.unwrap();
        length += read;
        let text = String::from_utf8_lossy(&answer[..length]).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let told = head.to_lowercase();
            let told = told.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= told.unwrap_or(0) {
                return text;
            }
        }
        assert!(read > 0, "the connection broke off: {text}");
    }
}

#[tokio::test]
async fn answers_keep_the_connection_and_tell_an_id_and_nothing_of_the_server() {
    let bench = Bench::new().await;
    let (address, stop, serving) = listening(&bench).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        let answer = exchange(&mut stream, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.to_lowercase();
        assert!(answer.starts_with("http/1.1 200"), "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
        assert!(!answer.contains("server: "), "{answer}");
    }
    let answer = exchange(&mut stream, "GET /nothing HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\n\r\n").await;
    assert!(answer.to_lowercase().contains("x-request-id: mine-1"), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "no new connections");
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_server_stops() {
    let bench = Arc::new(Bench::new().await);
    let blocking = "name: blocking\ntriggers: [{ manual: {} }]\nsteps:\n  - task: block@1\n  - exit: { status: 201 }\n";
    bench.publish("blocking", blocking).await;
    let (address, stop, serving) = listening(&bench).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asking = tokio::spawn(async move {
        let request = format!(
            "POST /api/v1/workflows/blocking/trigger HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nPrefer: wait=30\r\nContent-Length: 2\r\n\r\n{{}}",
            crate::bench::ADMIN
        );
        exchange(&mut stream, &request).await
    });
    bench.hands.blocked.notified().await;
    stop.send(()).unwrap();
    bench.hands.release.notify_one();
    let answer = asking.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    serving.await.unwrap();
}

/// Writes all of a body of this many bytes before it reads anything, as most clients do.
async fn refused(address: std::net::SocketAddr, head: &str, bytes: usize) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; bytes]).await.unwrap();
    exchange(&mut stream, "").await
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_sends_all_of_its_body_first() {
    let bench = Bench::new().await;
    let (address, stop, serving) = listening(&bench).await;
    let bytes = 4 << 20;
    let told = format!("POST /v1/webhooks/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n");
    for _ in 0..20 {
        let answer = refused(address, &told, bytes).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let keyless = format!("PUT /api/v1/workflows/a HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n");
    assert!(refused(address, &keyless, bytes).await.starts_with("HTTP/1.1 401"));
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends_anything() {
    let bench = Bench::new().await;
    let (address, stop, serving) = listening(&bench).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let asks = "PUT /api/v1/workflows/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n";
    let answer = exchange(&mut stream, asks).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_body_that_stops_coming_is_refused() {
    let bench = Bench::new().await;
    let pause = Duration::from_millis(20);
    let (address, stop, serving) =
        listening_with(&bench, Bounds { patience: Patience { pause, ..Patience::default() }, ..Bounds::default() })
            .await;
    let head =
        format!("PUT /api/v1/workflows/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", crate::bench::ADMIN);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, &format!("{head}Content-Length: 100\r\n\r\nname:")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}

/// What clients begin with that want nothing, or nothing yet.
const BEGINNINGS: [&[u8]; 6] = [
    b"",
    b"POST /v1/webh",
    b"POST /v1/webhooks/hooks HTTP/1.1\r\nHost: x\r\nContent-Le",
    b"PRI * HT",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
];

/// Half of a body that somebody waits for.
fn half() -> String {
    let admin = crate::bench::ADMIN;
    format!(
        "PUT /api/v1/workflows/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\nContent-Length: 100\r\n\r\nname:"
    )
}

#[tokio::test]
async fn a_connection_that_wants_nothing_is_closed_whatever_it_began_with() {
    let bench = Bench::new().await;
    let short = Duration::from_millis(20);
    let bounds = Bounds { headers: short, idle: short, ..Bounds::default() };
    let (address, stop, serving) = listening_with(&bench, bounds).await;
    for beginning in BEGINNINGS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut said = Vec::new();
        // One that is reset is closed as well.
        let _ = stream.read_to_end(&mut said).await;
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn a_full_server_closes_those_that_want_nothing_and_answers_those_that_do() {
    let bench = Bench::new().await;
    let long = Duration::from_secs(3_600);
    let patience = Patience { pause: long, whole: long, ..Patience::default() };
    let bounds = Bounds { connections: 4, headers: long, idle: long, patience };
    let (address, stop, serving) = listening_with(&bench, bounds).await;
    let half = half();
    for beginning in BEGINNINGS.into_iter().chain([half.as_bytes()]) {
        let mut idle = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            idle.push(stream);
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(&mut stream, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.expect("it is not kept waiting");
        assert!(answer.starts_with("HTTP/1.1 200"), "{beginning:?}: {answer}");
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_goes_on_keeps_its_connection() {
    let bench = Bench::new().await;
    let blocking = "name: blocking\ntriggers: [{ manual: {} }]\nsteps:\n  - task: block@1\n  - exit: {}\n";
    bench.publish("blocking", blocking).await;
    let bounds = Bounds { connections: 4, idle: Duration::from_millis(1), ..Bounds::default() };
    let (address, stop, serving) = listening_with(&bench, bounds).await;
    let head = format!("HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", crate::bench::ADMIN);
    let trigger = format!("POST /api/v1/workflows/blocking/trigger {head}Content-Length: 2\r\n\r\n{{}}");
    let answer = exchange(&mut TcpStream::connect(address).await.unwrap(), &trigger).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let id = serde_json::from_str::<serde_json::Value>(body).unwrap()["execution_id"].as_str().unwrap().to_owned();
    bench.hands.blocked.notified().await;

    let mut following = TcpStream::connect(address).await.unwrap();
    following.write_all(format!("GET /api/v1/executions/{id}/stream {head}\r\n").as_bytes()).await.unwrap();
    let mut told = vec![0; 16];
    following.read_exact(&mut told).await.unwrap();
    // Many that come and go, and take the places of those that want nothing.
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(&mut stream, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    bench.hands.release.notify_one();
    following.read_to_end(&mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("ended"), "the stream was cut: {told}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}
