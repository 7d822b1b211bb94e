//! The accept loop over a real socket: ids on every answer, peers known, a graceful end.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use camshaft_server::listener::listen;

use crate::bench::Bench;

/// A bench that listens; sending on the channel asks it to stop.
async fn listening(bench: &Bench) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (envelope, engine) = (bench.envelope.clone(), bench.engine.clone());
    let serving = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        listen(listener, envelope, stopped, || async { engine.stop().await }).await;
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
