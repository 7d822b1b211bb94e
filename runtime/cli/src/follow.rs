//! Server-sent events, read one by one; a connection that breaks is taken up again behind the last event that came.

use std::io::BufRead;
use std::time::Duration;

use anyhow::Result;

use crate::client::{Client, ClientError};

/// Tries in a row to take a broken connection up again.
const TRIES_MAX: u32 = 10;
/// Pauses before them: this much, then twice as much each time, at most [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// One event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    /// Its kind.
    pub(crate) kind: String,
    /// What it carries.
    pub(crate) data: String,
    id: Option<u64>,
}

/// A stream of events that is being followed.
pub(crate) struct Follow<'a> {
    client: &'a Client,
    path: String,
    connection: Option<Box<dyn BufRead>>,
    last: Option<u64>,
    /// Whether the server was there once: only then is it worth a wait.
    was_there: bool,
    tries: u32,
    sleep: fn(Duration),
}

impl<'a> Follow<'a> {
    /// Nothing is asked yet.
    pub(crate) fn new(client: &'a Client, path: String) -> Self {
        Self { client, path, connection: None, last: None, was_there: false, tries: 0, sleep: std::thread::sleep }
    }

    /// The next event; none where the server says that nothing follows.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let Some(connection) = &mut self.connection else {
                match self.client.events(&self.path, self.last) {
                    Ok(None) => return Ok(None),
                    Ok(Some(connection)) => {
                        self.connection = Some(Box::new(connection));
                        self.was_there = true;
                    }
                    Err(error) if self.was_there && may_pass(&error) && self.tries < TRIES_MAX => self.pause(),
                    Err(error) => return Err(error),
                }
                continue;
            };
            match read(connection) {
                Ok(Some(event)) => {
                    self.last = event.id.or(self.last);
                    self.tries = 0;
                    return Ok(Some(event));
                }
                // The server let go, or the connection broke: what the next one says goes.
                Ok(None) | Err(_) => {
                    self.connection = None;
                    if self.tries >= TRIES_MAX {
                        anyhow::bail!("the stream broke off {TRIES_MAX} times in a row without an event");
                    }
                    self.pause();
                }
            }
        }
    }

    fn pause(&mut self) {
        (self.sleep)((PAUSE * 2u32.pow(self.tries.min(8))).min(PAUSE_MAX));
        self.tries += 1;
    }
}

fn may_pass(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(ClientError::Unreachable { .. } | ClientError::BrokenOff { .. }) => true,
        Some(ClientError::Refused { status, .. }) => *status >= 500 || *status == 429,
        None => false,
    }
}

/// One event (HTML Living Standard, 9.2.6); none at the end. An event that breaks off is none.
fn read(lines: &mut dyn BufRead) -> std::io::Result<Option<Event>> {
    let mut event = Event::default();
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            if !event.data.is_empty() {
                return Ok(Some(event));
            }
            event = Event::default();
            continue;
        }
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut event.kind),
            "data" if event.data.is_empty() => value.clone_into(&mut event.data),
            "data" => {
                event.data.push('\n');
                event.data.push_str(value);
            }
            "id" => event.id = value.parse().ok(),
            // A comment that keeps the connection alive, or a field that means nothing to us.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn events_are_read_one_by_one_and_half_an_event_is_none() {
        let mut text =
            &b": hello\n\nid: 3\nevent: started\ndata: {}\n\ndata: a\ndata: b\n\n:\n\nid: 4\ndata: half\n"[..];
        let event = |kind: &str, data: &str, id| Event { kind: kind.to_owned(), data: data.to_owned(), id };
        assert_eq!(read(&mut text).unwrap(), Some(event("started", "{}", Some(3))));
        assert_eq!(read(&mut text).unwrap(), Some(event("", "a\nb", None)));
        assert_eq!(read(&mut text).unwrap(), None);
    }

    /// Answers one request; tells its head.
    fn answer(listener: &TcpListener, status: &str, body: &str) -> String {
        let (mut stream, _): (TcpStream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{body}").unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    #[test]
    fn a_connection_that_breaks_is_taken_up_behind_the_last_event() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let broken = "id: 0\nevent: accepted\ndata: {}\n\nid: 1\nevent: sta";
            [
                answer(&listener, "200 OK", broken),
                answer(&listener, "503 Service Unavailable", "{}"),
                answer(&listener, "200 OK", "id: 1\nevent: started\ndata: {}\n\n"),
                answer(&listener, "204 No Content", ""),
            ]
        });
        let client = Client::new(&url, Some("t".to_owned()), None);
        let mut follow = Follow { sleep: |_| {}, ..Follow::new(&client, "/stream".to_owned()) };
        assert_eq!(follow.next().unwrap().unwrap().kind, "accepted");
        assert_eq!(follow.next().unwrap().unwrap().kind, "started");
        assert_eq!(follow.next().unwrap(), None);
        let heads = server.join().unwrap();
        let asked =
            heads.map(|head| head.lines().find_map(|line| line.strip_prefix("last-event-id: ").map(str::to_owned)));
        assert_eq!(asked, [None, Some("0".to_owned()), Some("0".to_owned()), Some("1".to_owned())]);
    }

    #[test]
    fn a_server_that_never_was_there_is_told_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let client = Client::new(&url, Some("t".to_owned()), None);
        let error = Follow::new(&client, "/stream".to_owned()).next().unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(ClientError::Unreachable { .. })), "{error:#}");
    }
}
