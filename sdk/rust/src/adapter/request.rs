//! A delivery, and how its parts are read without surprises.

use super::once::Once;
use super::{Element, Rejection, encoding, pick, xml};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A delivery, exactly as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The method, as on the wire.
    pub method: String,
    /// The path behind the integration's URL; empty for the URL itself.
    pub path: String,
    /// The raw query string, without the question mark.
    pub query: String,
    /// Headers in the order and spelling of the wire.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body's bytes, untouched.
    pub body: Vec<u8>,
    /// The client's address, where known.
    pub remote_address: Option<String>,
    /// When the request came, in milliseconds since 1970.
    pub received_at_ms: u64,
    /// The URL that the vendor called, as the outside sees it.
    pub public_url: String,
}

/// Bytes of an event's name in a header.
const WORD_BYTES_MAX: usize = 128;

impl Request {
    /// Takes a delivery by this method alone.
    ///
    /// # Errors
    /// `unsupported` where it came by another.
    pub fn only(&self, method: &str) -> Result<(), Rejection> {
        if self.method == method {
            return Ok(());
        }
        Err(Rejection::Unsupported(format!("deliveries come by {method}, not by {}", self.method)))
    }

    /// The one value of a header, if it is there. Names are compared without case.
    ///
    /// # Errors
    /// `malformed` where the header comes more than once (which of them was signed?) or is no text.
    pub fn header(&self, name: &str) -> Result<Option<&str>, Rejection> {
        let mut values = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let Some((_, value)) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Rejection::Malformed(format!("the header `{name}` comes more than once")));
        }
        match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(Rejection::Malformed(format!("the header `{name}` is not text"))),
        }
    }

    /// The one value of a header that every delivery has.
    ///
    /// # Errors
    /// `malformed` where it is missing, empty, repeated or no text.
    pub fn required_header(&self, name: &str) -> Result<&str, Rejection> {
        match self.header(name)? {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(Rejection::Malformed(format!("the header `{name}` is missing"))),
        }
    }

    /// The name of an event in a header. Most vendors leave it out of what they sign, so it is only ever a plain word.
    ///
    /// # Errors
    /// `malformed` where it is missing, repeated, longer than 128 bytes, or holds anything but letters, digits, spaces and `_.:/-`.
    pub fn word(&self, name: &str) -> Result<&str, Rejection> {
        let value = self.required_header(name)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" _.:/-".contains(&byte);
        if value.len() <= WORD_BYTES_MAX && value.bytes().all(plain) {
            return Ok(value);
        }
        Err(Rejection::Malformed(format!("the header `{name}` is not the name of an event")))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `malformed` where it is none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        serde_json::from_slice(unmarked(&self.content()?)).map_err(|error| not_expected(&error))
    }

    /// The fields of a body that is a JSON object. A key that comes twice is refused: where a signature covers some of the fields,
    /// which of the two was signed?
    ///
    /// # Errors
    /// `malformed` where it is none, or a key comes twice.
    pub fn fields(&self) -> Result<Map<String, Value>, Rejection> {
        self.json::<Once>().map(|once| once.0)
    }

    /// The texts at these paths of a body that is a JSON object: `event.type`, `items.0.id`. Numbers and truth values count as texts;
    /// what is not there, null, a list or an object is none. Nothing else of the body is kept in memory.
    ///
    /// ```
    /// use camshaft_sdk::prelude::*;
    ///
    /// let request = Request { body: br#"{"event":{"type":"paid","id":7}}"#.to_vec(), ..Request::default() };
    /// let [kind, id, subject] = request.texts(["event.type", "event.id", "order"]).unwrap();
    /// assert_eq!((kind.as_deref(), id.as_deref(), subject), (Some("paid"), Some("7"), None));
    /// ```
    ///
    /// # Errors
    /// `malformed` where the body is no JSON object.
    pub fn texts<const N: usize>(&self, paths: [&str; N]) -> Result<[Option<String>; N], Rejection> {
        pick::texts(unmarked(&self.content()?), paths).map_err(|error| not_expected(&error))
    }

    /// The text at a path of a body that is a JSON object, which every delivery has.
    ///
    /// # Errors
    /// `malformed` where there is none.
    pub fn text(&self, path: &str) -> Result<String, Rejection> {
        let [text] = self.texts([path])?;
        text.ok_or_else(|| Rejection::missing(path))
    }

    /// The body as XML in UTF-8: its root element.
    ///
    /// # Errors
    /// `malformed` where it is none.
    pub fn xml(&self) -> Result<Element, Rejection> {
        let content = self.content()?;
        let text = std::str::from_utf8(unmarked(&content))
            .map_err(|_| Rejection::Malformed("the body is not XML in UTF-8".to_owned()))?;
        xml::parse(text)
    }

    /// The body as it was before it was compressed, where `Content-Encoding` says that it is. What is signed is [`Request::body`].
    ///
    /// # Errors
    /// `malformed` where it is not encoded so, or decodes to more than 4 MiB; `unsupported` for other encodings than gzip and
    /// deflate.
    pub fn content(&self) -> Result<Cow<'_, [u8]>, Rejection> {
        encoding::decoded(self.header("content-encoding")?.unwrap_or_default(), &self.body)
    }

    /// Whether the body is compressed.
    pub(super) fn is_encoded(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-encoding"))
    }

    /// Whether the body is said to be of a media type, whatever its parameters.
    pub fn is(&self, media_type: &str) -> bool {
        let Ok(Some(value)) = self.header("content-type") else { return false };
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
    }

    /// A field of a form body or query, decoded.
    pub fn form_field(form: &[u8], name: &str) -> Option<Vec<u8>> {
        Self::form_fields(form).into_iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value)
    }

    /// Every field of a form body or query with its value, decoded, in the order in which they came.
    pub fn form_fields(form: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let split = |pair: &[u8]| {
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()))
        };
        pairs.map(split).collect()
    }

    /// A parameter of the query, decoded; none where it is not there or no text.
    pub fn parameter(&self, name: &str) -> Option<String> {
        String::from_utf8(Self::form_field(self.query.as_bytes(), name)?).ok()
    }
}

/// What is behind a byte order mark, which is part of what is signed, and no part of JSON or XML.
pub(super) fn unmarked(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}

fn not_expected(error: &serde_json::Error) -> Rejection {
    Rejection::Malformed(format!("the body is not the JSON that was expected: {error}"))
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaces: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaces).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_headers(headers: &[(&str, &[u8])]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        Request { headers, ..Request::default() }
    }

    #[test]
    fn header_names_have_no_case() {
        let request = with_headers(&[("X-GitHub-Event", b" push ")]);
        assert_eq!(request.header("x-github-event"), Ok(Some("push")));
        assert_eq!(request.header("x-other"), Ok(None));
    }

    #[test]
    fn a_header_that_comes_twice_is_malformed_even_if_both_are_the_same() {
        let request = with_headers(&[("sig", b"a"), ("SIG", b"a")]);
        assert!(matches!(request.header("sig"), Err(Rejection::Malformed(_))));
    }

    #[test]
    fn a_header_that_is_no_text_is_malformed() {
        assert!(matches!(with_headers(&[("sig", b"\xff")]).header("sig"), Err(Rejection::Malformed(_))));
    }

    #[test]
    fn a_word_is_plain() {
        let word = |value: &[u8]| with_headers(&[("topic", value)]).word("topic").map(str::to_owned);
        for plain in ["push", "orders/create", "Push Hook", "repo:push"] {
            assert_eq!(word(plain.as_bytes()), Ok(plain.to_owned()));
        }
        for bad in [&b""[..], b"a\"b", b"a{b}", "\u{e4}".as_bytes(), &[b'a'; 129]] {
            assert!(matches!(word(bad), Err(Rejection::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_body_behind_a_byte_order_mark_is_json() {
        let request = Request { body: b"\xef\xbb\xbf{\"a\":1}".to_vec(), ..Request::default() };
        assert_eq!(request.text("a"), Ok("1".to_owned()));
        assert_eq!(request.json::<serde_json::Value>(), Ok(serde_json::json!({ "a": 1 })));
    }

    #[test]
    fn a_text_that_has_to_be_there_is_named() {
        let request = Request { body: b"{}".to_vec(), ..Request::default() };
        assert_eq!(request.text("event.type").unwrap_err().message(), "the body has no text at `event.type`");
    }

    #[test]
    fn a_parameter_of_the_query_is_decoded() {
        let request = Request { query: "hub.mode=subscribe&token=a%26b&bad=%FF".into(), ..Request::default() };
        assert_eq!(request.parameter("token").as_deref(), Some("a&b"));
        assert_eq!(request.parameter("bad"), None);
        assert_eq!(request.parameter("mode"), None);
    }

    #[test]
    fn a_form_field_is_decoded() {
        let form = b"a=1&payload=%7B%22x+y%22%3A+1%7D&b";
        assert_eq!(Request::form_field(form, "payload").unwrap(), br#"{"x y": 1}"#);
        assert_eq!(Request::form_field(form, "b").unwrap(), b"");
        assert_eq!(Request::form_field(form, "c"), None);
    }
}
