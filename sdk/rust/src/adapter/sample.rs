//! A sample to sign: what the vendor is to send, so that people can try an integration out.

use super::request::unmarked;
use super::{Request, pick};
use crate::json;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What the vendor is to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// The event's type, as the description names it.
    pub kind: String,
    /// The body.
    pub body: Vec<u8>,
    /// An id that no delivery had before.
    pub id: String,
    /// When it is sent, in milliseconds since 1970.
    pub time_ms: u64,
    /// The integration's URL, as the outside sees it.
    pub public_url: String,
}

impl Sample {
    /// When it is sent, in seconds since 1970.
    pub fn seconds(&self) -> String {
        (self.time_ms / 1000).to_string()
    }

    /// Its id as a number, for vendors whose ids are numbers.
    pub fn number(&self) -> u64 {
        // Numbers of JSON are exact up to 53 bits.
        self.id.bytes().fold(0_u64, |number, byte| number.wrapping_mul(31).wrapping_add(byte.into())) >> 11
    }

    /// Its id in place of the text or number at a path of its JSON, where the vendor has it in the body. What is not there stays
    /// away.
    pub fn with_id_at(self, path: &str) -> Self {
        let id = self.id.clone();
        self.with(path, &id)
    }

    /// A value in place of the text or number at a path of its JSON; nothing else of the body changes.
    ///
    /// ```
    /// use camshaft_sdk::prelude::*;
    ///
    /// let sample = Sample { body: br#"{"order":"7", "id":"7"}"#.to_vec(), ..Sample::default() };
    /// assert_eq!(sample.with("id", "d-1").body, br#"{"order":"7", "id":"d-1"}"#);
    /// ```
    pub fn with(mut self, path: &str, value: &str) -> Self {
        let at_path = |body: &[u8]| pick::texts(unmarked(body), [path]).ok().and_then(|[text]| text);
        let Some(former) = at_path(&self.body).filter(|former| !former.is_empty()) else { return self };
        let places = self.body.windows(former.len()).enumerate().filter(|(_, bytes)| *bytes == former.as_bytes());
        // The same text may stand elsewhere: the place is the one that changes what is read at the path.
        let changed = places.map(|(at, _)| {
            let (before, behind) = (&self.body[..at], &self.body[at + former.len()..]);
            [before, value.as_bytes(), behind].concat()
        });
        let mut changed = changed.filter(|body| at_path(body).as_deref() == Some(value));
        if let Some(body) = changed.next() {
            self.body = body;
        }
        self
    }

    /// Its body as JSON; none where it is no such JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(unmarked(&self.body)).ok()
    }

    /// Another body: this JSON.
    pub fn with_json(self, body: &Value) -> Self {
        Self { body: json::text(body).into_bytes(), ..self }
    }

    /// Its delivery: `POST` of the body as JSON, with these headers.
    pub fn delivery(&self, headers: &[(&str, &str)]) -> Request {
        let delivery = Request {
            method: "POST".to_owned(),
            body: self.body.clone(),
            received_at_ms: self.time_ms,
            public_url: self.public_url.clone(),
            query: self.public_url.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
            ..Request::default()
        };
        let delivery = delivery.with_header("Content-Type", "application/json");
        headers.iter().fold(delivery, |delivery, (name, value)| delivery.with_header(name, value))
    }
}

impl Request {
    /// The request with this value of a header, in place of any other.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// The request with one more parameter in its URL.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Self {
        let value: String = utf8_percent_encode(value, NON_ALPHANUMERIC).collect();
        let separator = if self.query.is_empty() { "" } else { "&" };
        self.query = [&self.query, separator, name, "=", &value].concat();
        let url = self.public_url.split('?').next().unwrap_or_default();
        self.public_url = [url, "?", &self.query].concat();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(body: &str, path: &str, value: &str) -> String {
        let sample = Sample { body: body.into(), ..Sample::default() };
        String::from_utf8(sample.with(path, value).body).unwrap()
    }

    #[test]
    fn a_value_is_put_in_its_place_and_nowhere_else() {
        assert_eq!(with(r#"{"a":"7","id":"7","b":"7"}"#, "id", "x-1"), r#"{"a":"7","id":"x-1","b":"7"}"#);
        assert_eq!(with(r#"{"at" : 17, "b": [{"at":17}]}"#, "b.0.at", "18"), r#"{"at" : 17, "b": [{"at":18}]}"#);
        assert_eq!(with(r#"{"id":"1","id":"1"}"#, "id", "2"), r#"{"id":"1","id":"2"}"#, "the last of the same keys");
    }

    #[test]
    fn what_has_no_such_place_stays_as_it_is() {
        for body in ["", "{", "[]", "{}", r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":[1]}"#] {
            assert_eq!(with(body, "id", "2"), body);
        }
        assert_eq!(with("\u{feff}{\"id\":1}", "id", "2"), "\u{feff}{\"id\":2}");
        assert_eq!(with(r#"{"id":7}"#, "id", "seven"), r#"{"id":7}"#, "a number becomes no text");
    }

    #[test]
    fn a_parameter_joins_those_that_are_there() {
        let sample = Sample { public_url: "https://a.example/hook".to_owned(), ..Sample::default() };
        let one = sample.delivery(&[]).with_parameter("token", "a&b");
        assert_eq!(
            (one.query.as_str(), one.public_url.as_str()),
            ("token=a%26b", "https://a.example/hook?token=a%26b")
        );
        let two = one.with_parameter("n", "1");
        assert_eq!(two.public_url, format!("https://a.example/hook?{}", two.query));
        assert_eq!(two.query, "token=a%26b&n=1");
    }

    #[test]
    fn a_header_of_the_adapter_is_there_once() {
        let delivery = Sample::default().delivery(&[("content-type", "text/xml")]);
        assert_eq!(delivery.header("Content-Type"), Ok(Some("text/xml")));
    }
}
