//! Requests to the outside: only where a grant says so, to addresses that were checked, within bounds.

use std::sync::{Arc, Mutex};

use camshaft_model::json;
use camshaft_model::limits::Budget;
use camshaft_model::outcome::FailureKind;
use camshaft_model::plugin::{Descriptor, Grant};
use camshaft_model::seams::{Plugins, Receipt, Refusal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{World, breach, delivery, failure, guest};

/// A server that answers everything alike and keeps what it was sent.
struct Server {
    origin: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, answer) = (kept.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                    // A guest that has enough may close first.
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { origin, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn grant(hosts: &[&str], private_addresses: bool) -> Grant {
    Grant { hosts: hosts.iter().map(|&host| host.to_owned()).collect(), private_addresses, ..Grant::default() }
}

#[tokio::test]
async fn a_granted_host_is_reached_and_told_who_it_is() {
    let world = World::new(Budget::default());
    let server = Server::start(ok("hello")).await;
    world.grant(grant(&[&server.origin], true));
    let done = world.call(guest("call-host"), json!({"url": format!("{}/path?q=1", server.origin)})).await;
    assert_eq!(done.result, Ok(json!({"status": 200, "bytes": 5, "start": "hello"})));
    assert_eq!(done.usage.requests, 1);
    let head = server.heads()[0].to_ascii_lowercase();
    let host = server.origin.strip_prefix("http://").unwrap();
    assert!(head.starts_with("get /path?q=1 http/1.1\r\n"), "{head}");
    assert_eq!(head.matches(&format!("\r\nhost: {host}\r\n")).count(), 1, "{head}");
}

#[tokio::test]
async fn a_host_without_a_grant_is_denied_by_its_name_and_never_sees_a_byte() {
    let world = World::new(Budget::default());
    let server = Server::start(ok("hello")).await;
    let url = json!({"url": server.origin});
    let others = [grant(&[], true), grant(&["https://127.0.0.1"], true), grant(&["http://127.0.0.1:1"], true)];
    for others in others {
        world.grant(others.clone());
        let done = world.call(guest("call-host"), url.clone()).await;
        let denied = failure(&done, FailureKind::Denied);
        assert!(denied.message.contains(server.origin.as_str()), "{others:?}: {denied:?}");
    }
    assert!(server.heads().is_empty());
    world.assert_next_call_is_unhurt().await;

    // A grant holds from the next call on.
    world.grant(grant(&[&server.origin], true));
    assert!(world.call(guest("call-host"), url).await.result.is_ok());
}

#[tokio::test]
async fn private_addresses_are_denied_unless_granted_whatever_their_name() {
    let world = World::new(Budget::default());
    let server = Server::start(ok("hello")).await;
    let port = server.origin.rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let origin = format!("http://{host}:{port}");
        for hosts in [vec!["*"], vec![origin.as_str()]] {
            world.grant(grant(&hosts, false));
            let done = world.call(guest("call-host"), json!({"url": origin})).await;
            // Some spellings are no address to the system's resolver, and then no name either.
            let kind = done.result.unwrap_err().kind;
            assert!(
                matches!(kind, FailureKind::Denied | FailureKind::Unavailable | FailureKind::Failed),
                "{origin}: {kind}"
            );
        }
    }
    assert!(server.heads().is_empty(), "{:?}", server.heads());

    world.grant(grant(&[&server.origin], false));
    let done = world.call(guest("call-host"), json!({"url": server.origin})).await;
    let denied = failure(&done, FailureKind::Denied);
    assert!(denied.message.contains("127.0.0.1"), "{denied:?}");
}

#[tokio::test]
async fn metadata_services_are_denied_whatever_is_granted() {
    let world = World::new(Budget::default());
    for host in ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "168.63.129.16", "100.100.100.200"] {
        let origin = format!("http://{host}");
        world.grant(grant(&["*", &origin], true));
        let done = world.call(guest("call-host"), json!({"url": format!("{origin}/latest/meta-data/")})).await;
        let denied = failure(&done, FailureKind::Denied);
        assert!(denied.message.contains("metadata"), "{host}: {denied:?}");
    }
}

#[tokio::test]
async fn an_answer_is_taken_at_its_bound_and_refused_one_past_it() {
    let world = World::new(Budget { response_bytes: 1000, ..Budget::default() });
    for (bytes, taken) in [(1000, true), (1001, false)] {
        let body = "x".repeat(bytes);
        let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}");
        for answer in [ok(&body), endless] {
            let server = Server::start(answer).await;
            world.grant(grant(&[&server.origin], true));
            let done = world.call(guest("call-host"), json!({"url": server.origin})).await;
            if taken {
                assert_eq!(done.result.unwrap()["bytes"], bytes);
            } else {
                assert_eq!(breach(&done, "response")["limit"], 1000);
            }
        }
    }
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn requests_are_counted_and_bounded() {
    let world = World::new(Budget { requests: 3, ..Budget::default() });
    let server = Server::start(ok("hello")).await;
    world.grant(grant(&[&server.origin], true));
    let done = world.call(guest("call-host"), json!({"url": server.origin, "times": 3})).await;
    assert!(done.result.is_ok(), "{:?}", done.result);
    assert_eq!(done.usage.requests, 3);
    let done = world.call(guest("call-host"), json!({"url": server.origin, "times": 4})).await;
    breach(&done, "requests");
    assert_eq!(server.heads().len(), 6);
}

#[tokio::test]
async fn heads_without_end_and_broken_answers_fail_and_hurt_nobody() {
    let world = World::new(Budget::default());
    let flood = format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("X-A: {}\r\n", "x".repeat(1000)).repeat(500));
    for answer in [flood, "garbage\r\n\r\n".to_owned(), String::new()] {
        let server = Server::start(answer).await;
        world.grant(grant(&[&server.origin], true));
        let done = world.call(guest("call-host"), json!({"url": server.origin})).await;
        assert!(done.result.is_err());
    }
    world.assert_next_call_is_unhurt().await;
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_call_s_wall_clock() {
    let world = World::new(Budget { wall: std::time::Duration::from_millis(300), ..Budget::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    world.grant(grant(&[&origin], true));
    let done = world.call(guest("call-host"), json!({"url": origin})).await;
    failure(&done, FailureKind::Timeout);
    world.assert_next_call_is_unhurt().await;
}

/// What `calling-adapter` makes of a delivery.
async fn receive(world: &World, url: &str) -> Result<Receipt, Refusal> {
    let integration = world.integration(guest("calling-adapter"), json!({"url": url}), &[]);
    world.host.receive(&integration, &delivery(&[], "", 0)).await
}

#[tokio::test]
async fn an_adapter_says_whom_it_calls_and_reaches_what_is_granted_alone() {
    let world = World::new(Budget { response_bytes: 1000, ..Budget::default() });
    let release = world.host.inspect(guest("calling-adapter")).await.unwrap();
    assert!(release.wants_http() && release.observable, "{:?}", release.imports);
    let Descriptor::Adapter(descriptor) = release.descriptor else { panic!("an adapter: {:?}", release.kind) };
    assert_eq!(descriptor.hosts, ["https://keys.*.example.com"]);

    let server = Server::start(ok("hello")).await;
    for others in [grant(&[], true), grant(&["http://127.0.0.1:1"], true), grant(&[&server.origin], false)] {
        world.grant(others);
        let received = receive(&world, &server.origin).await;
        let told = format!("{} is not granted to this plugin", server.origin);
        assert_eq!(received, Err(Refusal::Unavailable(told)));
    }
    assert!(server.heads().is_empty());

    world.grant(grant(&[&server.origin], true));
    let receipt = receive(&world, &server.origin).await.unwrap();
    assert_eq!(receipt.events[0].body, Some(json!({"status": 200, "bytes": 5, "start": "hello"})));
    let large = Server::start(ok(&"x".repeat(1001))).await;
    world.grant(grant(&[&large.origin], true));
    let received = receive(&world, &large.origin).await;
    assert!(matches!(received, Err(Refusal::Unavailable(_))), "{received:?}");
}

#[tokio::test]
async fn what_stands_in_for_the_network_is_called_only_where_a_grant_says_so() {
    let world = World::with_stand_in(Arc::new(|host| {
        let answer = ok(&format!("this is {host}"));
        let (ours, mut theirs) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(theirs.read_u8().await.unwrap());
            }
            theirs.write_all(answer.as_bytes()).await.unwrap();
        });
        ours
    }));
    let url = json!({"url": "https://vendor.example/a"});
    failure(&world.call(guest("call-host"), url.clone()).await, FailureKind::Denied);
    world.grant(grant(&["https://vendor.example"], false));
    let done = world.call(guest("call-host"), url).await;
    assert_eq!(done.result, Ok(json!({"status": 200, "bytes": 22, "start": "this is vendor.example"})));
}
