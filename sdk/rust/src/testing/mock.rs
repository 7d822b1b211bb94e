//! The mock host itself: what it holds, what it records, and how the SDK's native half reaches it.

use crate::http::{HttpError, Outgoing, Response};
use crate::log::Level;
use crate::secrets::SecretError;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// Where a new host's clock stands: 2026-01-01T00:00:00Z. It moves only when code sleeps.
const START_MS: u64 = 1_767_225_600_000;

thread_local! {
    static CURRENT: RefCell<Vec<Rc<RefCell<State>>>> = const { RefCell::new(Vec::new()) };
}

/// A host for tests.
#[derive(Debug, Clone, Default)]
pub struct Host {
    state: Rc<RefCell<State>>,
}

#[derive(Debug)]
struct State {
    now_ms: u64,
    secrets: Vec<(String, Option<String>)>,
    answers: VecDeque<(String, String, Answer)>,
    requests: Vec<SentRequest>,
    logs: Vec<LogLine>,
    random: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now_ms: START_MS,
            secrets: Vec::new(),
            answers: VecDeque::new(),
            requests: Vec::new(),
            logs: Vec::new(),
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }
}

/// A line that was logged.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The message.
    pub message: String,
    /// The fields; null where there are none.
    pub fields: Value,
}

/// A request that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// The method.
    pub method: String,
    /// The URL, with its query.
    pub url: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it might have taken.
    pub timeout: Duration,
}

impl SentRequest {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What the mock host answers a request with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(Result<Response, HttpError>);

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: Value) -> Self {
        Self::bytes(status, body.to_string()).header("content-type", "application/json")
    }

    /// A text answer.
    pub fn text(status: u16, body: &str) -> Self {
        Self::bytes(status, body).header("content-type", "text/plain; charset=utf-8")
    }

    /// An answer with a body of bytes and no headers.
    pub fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self(Ok(Response { status, headers: Vec::new(), body: body.into() }))
    }

    /// No answer.
    pub fn error(error: HttpError) -> Self {
        Self(Err(error))
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Ok(response) = &mut self.0 {
            response.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        }
        self
    }
}

impl Host {
    /// A host with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants a secret and sets it.
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.state.borrow_mut().secrets.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Grants a secret that the workspace does not have.
    pub fn missing_secret(self, name: &str) -> Self {
        self.state.borrow_mut().secrets.push((name.to_owned(), None));
        self
    }

    /// Answers the next request of this method to this URL (with its query). Each answer is given once, so the same again
    /// may answer differently.
    pub fn answer(self, method: &str, url: &str, answer: Answer) -> Self {
        self.state.borrow_mut().answers.push_back((method.to_owned(), url.to_owned(), answer));
        self
    }

    /// Sets the clock, in milliseconds since 1970.
    pub fn at(self, now_ms: u64) -> Self {
        self.state.borrow_mut().now_ms = now_ms;
        self
    }

    /// Runs code on this host.
    pub fn run<R>(&self, code: impl FnOnce() -> R) -> R {
        /// Takes the host away again, however the code ends.
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(Vec::pop);
            }
        }
        CURRENT.with_borrow_mut(|hosts| hosts.push(Rc::clone(&self.state)));
        let _leave = Leave;
        code()
    }

    /// Lines logged so far.
    pub fn logs(&self) -> Vec<LogLine> {
        self.state.borrow().logs.clone()
    }

    /// Requests sent so far.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.state.borrow().requests.clone()
    }
}

fn current<R>(read: impl FnOnce(&mut State) -> R) -> R {
    let host = CURRENT.with_borrow(|hosts| hosts.last().cloned()).unwrap_or_default();
    read(&mut host.borrow_mut())
}

/// What [`crate::host`] is natively.
pub(crate) mod native {
    use super::*;

    pub(crate) fn log(level: Level, message: &str, fields: &str) {
        let fields = if fields.is_empty() { Value::Null } else { serde_json::from_str(fields).unwrap_or_default() };
        current(|host| host.logs.push(LogLine { level, message: message.to_owned(), fields }));
    }

    pub(crate) fn secret(name: &str) -> Result<String, SecretError> {
        current(|host| match host.secrets.iter().find(|(key, _)| key == name) {
            Some((_, Some(value))) => Ok(value.clone()),
            Some((_, None)) => Err(SecretError::Missing(name.to_owned())),
            None => Err(SecretError::Denied(name.to_owned())),
        })
    }

    pub(crate) fn now_ms() -> u64 {
        current(|host| host.now_ms)
    }

    pub(crate) fn monotonic() -> Duration {
        Duration::from_millis(now_ms())
    }

    pub(crate) fn sleep(duration: Duration) {
        current(|host| host.now_ms += u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }

    /// SplitMix64, from a fixed seed: tests are to be the same every time.
    pub(crate) fn random(count: usize) -> Vec<u8> {
        current(|host| {
            let next = std::iter::repeat_with(|| {
                host.random = host.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = host.random;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed ^ (mixed >> 31)).to_le_bytes()
            });
            next.flatten().take(count).collect()
        })
    }

    pub(crate) fn send(request: &Outgoing) -> Result<Response, HttpError> {
        current(|host| {
            let (method, url) = (request.method.as_str(), request.url());
            host.requests.push(SentRequest {
                method: method.to_owned(),
                url: url.clone(),
                headers: request.headers.clone(),
                body: request.body.clone(),
                timeout: request.timeout,
            });
            let found = host.answers.iter().position(|(wanted, at, _)| wanted == method && *at == url);
            match found.and_then(|index| host.answers.remove(index)) {
                Some((_, _, Answer(answer))) => answer,
                None => Err(HttpError::Denied(format!("the mock host has no answer for {method} {url}"))),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, http, log, random, secrets};

    #[test]
    fn secrets_are_denied_missing_or_there() {
        let host = Host::new().secret("a", "1").missing_secret("b");
        host.run(|| {
            assert_eq!(secrets::get("a"), Ok("1".to_owned()));
            assert_eq!(secrets::get("b"), Err(SecretError::Missing("b".to_owned())));
            assert_eq!(secrets::get("c"), Err(SecretError::Denied("c".to_owned())));
        });
        assert_eq!(secrets::get("a"), Err(SecretError::Denied("a".to_owned())), "the host is gone after `run`");
    }

    #[test]
    fn lines_keep_level_message_and_fields() {
        let host = Host::new();
        host.run(|| {
            let name = "order";
            log::warn!({ "count": 2 }, "{name} late");
            log::trace!("plain");
        });
        let line =
            LogLine { level: Level::Warn, message: "order late".into(), fields: serde_json::json!({ "count": 2 }) };
        assert_eq!(host.logs()[0], line);
        assert_eq!(host.logs()[1].fields, Value::Null);
    }

    #[test]
    fn an_answer_is_given_once_and_in_order() {
        let url = "https://a.example/";
        let host = Host::new().answer("GET", url, Answer::text(503, "")).answer("GET", url, Answer::text(200, "hi"));
        host.run(|| {
            assert_eq!(http::get(url).send().unwrap().status, 503);
            assert_eq!(http::get(url).send().unwrap().text(), Ok("hi"));
            assert!(matches!(http::get(url).send(), Err(HttpError::Denied(_))));
        });
        assert_eq!(host.requests().len(), 3);
    }

    #[test]
    fn time_stands_still_but_for_sleeping_and_randomness_repeats() {
        let numbers = || Host::new().at(5).run(|| (random::u64(), random::u64(), clock::now_ms()));
        assert_eq!(numbers(), numbers());
        assert_ne!(numbers().0, numbers().1);
        Host::new().at(5).run(|| {
            clock::sleep(Duration::from_millis(20));
            assert_eq!(clock::now_ms(), 25);
        });
    }
}
