//! The accept loop over a real socket: ids on every answer, peers known, a graceful end.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use camshaft_server::arriving::Patience;
use camshaft_server::listener::listen;

use crate::bench::Bench;

/// A bench that listens; sending on the channel asks it to stop.
async fn listening(bench: &Bench) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    listening_with(bench, Patience::default()).await
}

async fn listening_with(
    bench: &Bench,
    patience: Patience,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (envelope, engine) = (bench.envelope.clone(), bench.engine.clone());
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        listen(listener, envelope, patience, stopped, || async { engine.stop().await }).await;
    });
    (address, stop, serving)
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
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
    let pause = std::time::Duration::from_millis(20);
    let (address, stop, serving) = listening_with(&bench, Patience { pause, ..Patience::default() }).await;
    let head =
        format!("PUT /api/v1/workflows/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n", crate::bench::ADMIN);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, &format!("{head}Content-Length: 100\r\n\r\nname:")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    stop.send(()).unwrap();
    serving.await.unwrap();
}
