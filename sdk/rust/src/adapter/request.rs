//! A delivery, and how its parts are read without surprises.

use super::Rejection;
use serde::de::DeserializeOwned;

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

impl Request {
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

    /// The body as JSON.
    ///
    /// # Errors
    /// `malformed` where it is none.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Rejection::Malformed(format!("the body is not the JSON that was expected: {error}")))
    }

    /// Whether the body is said to be of a media type, whatever its parameters.
    pub fn is(&self, media_type: &str) -> bool {
        let Ok(Some(value)) = self.header("content-type") else { return false };
        value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
    }

    /// A field of a form body or query, decoded.
    pub fn form_field(form: &[u8], name: &str) -> Option<Vec<u8>> {
        form.split(|byte| *byte == b'&').find_map(|pair| {
            let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            (decode(&pair[..split]) == name.as_bytes()).then(|| decode(pair.get(split + 1..).unwrap_or_default()))
        })
    }
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
    fn a_form_field_is_decoded() {
        let form = b"a=1&payload=%7B%22x+y%22%3A+1%7D&b";
        assert_eq!(Request::form_field(form, "payload").unwrap(), br#"{"x y": 1}"#);
        assert_eq!(Request::form_field(form, "b").unwrap(), b"");
        assert_eq!(Request::form_field(form, "c"), None);
    }
}
