//! A URL that is told of executions: it verifies each letter as its own program would, and refuses the first try of some.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// What has come.
#[derive(Default)]
pub struct Came {
    /// The secret that letters are signed with.
    secret: Option<String>,
    /// Letters by id: how often each was tried, and its event once it was taken.
    pub letters: BTreeMap<String, (u32, Option<Value>)>,
    /// What was wrong with any of them.
    pub faults: Vec<String>,
}

/// Listens on loopback for as long as the test's process lives.
pub struct Receiver {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    came: Arc<(Mutex<Came>, Condvar)>,
}

impl Receiver {
    /// Begins to listen. `refuses` says of which letters the first try is answered with 503.
    pub fn start(refuses: fn(&str) -> bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let came = Arc::<(Mutex<Came>, Condvar)>::default();
        let kept = came.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let came = kept.clone();
                std::thread::spawn(move || serve(stream, &came, refuses));
            }
        });
        Self { url, came }
    }

    /// What letters are signed with from now on.
    pub fn trust(&self, secret: &str) {
        self.came.0.lock().expect("nobody panics with it").secret = Some(secret.to_owned());
    }

    /// Waits until what has come is enough, and tells something of it.
    pub fn until<T>(&self, enough: impl Fn(&Came) -> Option<T>) -> T {
        let mut came = self.came.0.lock().expect("nobody panics with it");
        loop {
            if let Some(told) = enough(&came) {
                return told;
            }
            came = self.came.1.wait(came).expect("nobody panics with it");
        }
    }
}

/// One letter: senders open a connection for each.
fn serve(stream: TcpStream, came: &(Mutex<Came>, Condvar), refuses: fn(&str) -> bool) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let (mut headers, mut line) = (BTreeMap::new(), String::new());
    reader.read_line(&mut line).ok()?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let status = {
        let mut came = came.0.lock().expect("nobody panics with it");
        take(&mut came, &headers, &body, refuses)
    };
    came.1.notify_all();
    writer.write_all(format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n").as_bytes()).ok()
}

fn take(came: &mut Came, headers: &BTreeMap<String, String>, body: &[u8], refuses: fn(&str) -> bool) -> u16 {
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let id = header("webhook-id");
    let secret = came.secret.clone().unwrap_or_default();
    if !is_signed(&secret, &id, &header("webhook-timestamp"), &header("webhook-signature"), body) {
        came.faults.push(format!("letter {id} has a signature that is wrong: {headers:?}"));
        return 401;
    }
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    if event["id"] != *id || header("content-type") != "application/cloudevents+json; charset=utf-8" {
        came.faults.push(format!("letter {id} is no CloudEvent: {headers:?} {event}"));
    }
    let (tries, taken) = came.letters.entry(id.clone()).or_default();
    *tries += 1;
    if *tries == 1 && refuses(&id) {
        return 503;
    }
    if let Some(earlier) = taken.replace(event.clone())
        && earlier != event
    {
        came.faults.push(format!("letter {id} came with another event the second time"));
    }
    204
}

/// Standard Webhooks 1.0, as the specification says it.
fn is_signed(secret: &str, id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
    let Some(key) = secret.strip_prefix("whsec_").and_then(|key| BASE64.decode(key).ok()) else { return false };
    let given = signatures.split(' ').filter_map(|one| BASE64.decode(one.strip_prefix("v1,")?).ok());
    given.into_iter().any(|signature| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any length is a key");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        mac.verify_slice(&signature).is_ok()
    })
}
