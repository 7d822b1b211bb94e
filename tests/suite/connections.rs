//! Clients that nobody would want: others are served all the same.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::server::Server;

const ECHO: &str = "
name: echo-it
triggers: [ { webhook: { integration: hooks } } ]
steps: [ { exit: { body: '{{ $.event.body }}' } } ]
";
const SYNC: &str = "/v1/webhooks/hooks/workflows/echo-it/sync";

fn server() -> Server {
    let server = Server::start();
    server.ok("PUT", "/api/v1/integrations/hooks", r#"{"adapter": "generic"}"#);
    server.publish("echo-it", ECHO);
    server
}

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.url.trim_start_matches("http://")).expect("the server listens")
}

/// It answers, the workflow's own answer too.
fn serves(server: &Server) {
    let answer = server.send("POST", SYNC, &[("Content-Type", "application/json")], br#"{"n":1}"#);
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"n":1}"#), "{}", server.log());
}

/// All that comes until the server closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn ten_thousand_connections_that_want_nothing_keep_nobody_waiting() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a process may raise its own limit");
    // The server raises its own limit too; both need some files beside.
    let count = maximum.map_or(10_000, |most| (most / 2).saturating_sub(500).min(10_000));
    let server = server();
    let beginnings: [&[u8]; 6] = [
        b"",
        b"POST /v1/webh",
        b"POST /v1/webhooks/hooks HTTP/1.1\r\nHost: x\r\nContent-Le",
        b"POST /v1/webhooks/hooks HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf of it",
        b"PRI * HT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    // Each kind alone, the one before still open: what one kind takes for good the next would find missing.
    let (mut idle, mut before) = (Vec::new(), Vec::new());
    for beginning in beginnings {
        for n in 0..count {
            let mut stream = connect(&server);
            stream.write_all(beginning).unwrap_or_else(|error| panic!("connection {n}: {error}"));
            idle.push(stream);
        }
        for _ in 0..20 {
            serves(&server);
        }
        before = std::mem::take(&mut idle);
    }
    drop(before);
    serves(&server);
    let all = server.ok("GET", "/api/v1/executions?limit=200", "")["items"].as_array().unwrap().len();
    assert_eq!(all, 121, "what was sent by halves started nothing");
}

#[test]
fn requests_that_follow_each_other_at_once_are_answered_in_their_order() {
    let server = server();
    let mut stream = connect(&server);
    let mut requests = String::new();
    for n in 0..50 {
        let body = format!("{{\"n\":{n}}}");
        requests += &format!(
            "POST {SYNC} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{body}",
            body.len(),
            if n == 49 { "Connection: close\r\n" } else { "" },
        );
    }
    stream.write_all(requests.as_bytes()).unwrap();
    let answers = rest(stream);
    let numbers: Vec<_> = answers.lines().filter(|line| line.starts_with("{\"n\":")).map(str::to_owned).collect();
    // A body has no line break at its end: the next answer's status line follows it at once.
    let numbers: Vec<_> = numbers.iter().map(|line| line.split('}').next().unwrap().to_owned()).collect();
    assert_eq!(numbers, (0..50).map(|n| format!("{{\"n\":{n}")).collect::<Vec<_>>(), "{answers}");
}

#[test]
fn a_body_in_pieces_is_one_body_and_broken_pieces_are_refused() {
    let server = server();
    let head = format!(
        "POST {SYNC} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let mut stream = connect(&server);
    stream.write_all(head.as_bytes()).unwrap();
    for piece in ["1\r\n{\r\n", "3;note=x\r\n\"n\"\r\n", "2\r\n:7\r\n", "1\r\n}\r\n", "0\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
        stream.flush().unwrap();
    }
    let answer = rest(stream);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"n\":7}"), "{answer}");

    for broken in ["xyz\r\n{}\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "5\r\n{}\r\n0\r\n\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(broken.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = rest(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{broken:?}: {answer}");
        serves(&server);
    }
    // Two lengths that differ are how requests are smuggled past a proxy (RFC 9112, 6.3).
    for smuggled in ["Content-Length: 2\r\nContent-Length: 3", "Content-Length: +2", "Content-Length: 2, 3"] {
        let mut stream = connect(&server);
        let request = format!("POST {SYNC} HTTP/1.1\r\nHost: x\r\n{smuggled}\r\n\r\n{{}}");
        stream.write_all(request.as_bytes()).unwrap();
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 400"), "{smuggled:?}: {answer}");
    }
}

#[test]
fn a_flood_of_headers_is_refused_and_costs_nobody_anything() {
    let server = server();
    let many: String = (0..5_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "y".repeat(1 << 20));
    let endless = format!("GET /{} HTTP/1.1\r\n", "a".repeat(1 << 20));
    for flood in [
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{long}\r\n"),
        endless,
        "\0\u{1}\u{2}not http at all\r\n\r\n".to_owned(),
    ] {
        let mut stream = connect(&server);
        // The server may close before it has read all of it.
        let _ = stream.write_all(flood.as_bytes());
        let answer = rest(stream);
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(["", "400", "414", "431"].contains(&status.as_str()), "{answer}");
        serves(&server);
    }
}
