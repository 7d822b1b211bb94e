//! A service outside that remembers every call and its idempotency key, and takes effect once for each.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Calls by idempotency key.
pub type Calls = BTreeMap<String, u32>;

/// How many of the first calls with a key are refused with 503, and have no effect.
pub type Refuse = fn(key: &str) -> u32;

/// Listens on loopback for as long as the test's process lives.
pub struct Recorder {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    calls: Arc<Mutex<Calls>>,
    effects: Arc<Mutex<Calls>>,
}

impl Recorder {
    /// Begins to listen.
    pub fn start() -> Self {
        Self::refusing(|_| 0)
    }

    /// Begins to listen, and refuses some calls.
    pub fn refusing(refuse: Refuse) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let calls = Arc::new(Mutex::new(Calls::new()));
        let effects = Arc::new(Mutex::new(Calls::new()));
        let kept = (calls.clone(), effects.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (calls, effects) = kept.clone();
                std::thread::spawn(move || serve(stream, &calls, &effects, refuse));
            }
        });
        Self { url, calls, effects }
    }

    /// What was called so far.
    pub fn calls(&self) -> Calls {
        self.calls.lock().expect("nobody panics with the calls").clone()
    }

    /// How many calls were made so far.
    pub fn count(&self) -> u64 {
        self.calls.lock().expect("nobody panics with the calls").values().map(|count| u64::from(*count)).sum()
    }

    /// What was done so far: a call that was not refused, the first with its key.
    pub fn effects(&self) -> Calls {
        self.effects.lock().expect("nobody panics with the effects").clone()
    }
}

/// Requests of one connection, until it is closed or broken: callers are killed in these tests.
fn serve(stream: TcpStream, calls: &Mutex<Calls>, effects: &Mutex<Calls>, refuse: Refuse) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut key, mut length, mut line) = (String::new(), 0, String::new());
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().ok()?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let number = {
            let mut calls = calls.lock().expect("nobody panics with the calls");
            let number = calls.entry(key.clone()).or_default();
            *number += 1;
            *number
        };
        if number <= refuse(&key) {
            writer.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        // Whoever repeats a key is told what became of the first one; nothing is done again.
        effects.lock().expect("nobody panics with the effects").entry(key).or_insert(number);
        writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
            .ok()?;
    }
}
