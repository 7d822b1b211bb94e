//! A service outside that remembers every call and its idempotency key.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Calls by idempotency key.
pub type Calls = BTreeMap<String, u32>;

/// Listens on loopback for as long as the test's process lives.
pub struct Recorder {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    calls: Arc<Mutex<Calls>>,
}

impl Recorder {
    /// Begins to listen.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let calls = Arc::new(Mutex::new(Calls::new()));
        let kept = calls.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept));
            }
        });
        Self { url, calls }
    }

    /// What was called so far.
    pub fn calls(&self) -> Calls {
        self.calls.lock().expect("nobody panics with the calls").clone()
    }
}

/// Requests of one connection, until it is closed or broken: callers are killed in these tests.
fn serve(stream: TcpStream, calls: &Mutex<Calls>) -> Option<()> {
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
        *calls.lock().expect("nobody panics with the calls").entry(key).or_default() += 1;
        writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
            .ok()?;
    }
}
