//! Bodies of the management API: read within a bound, and as the JSON of a type, with the place of what is wrong.

use std::marker::PhantomData;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use bytes::Bytes;
use camshaft_model::limits::DATA_DEPTH_MAX;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};

use super::problem::{Fault, Problem};

/// Largest JSON body of the management API, bytes.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of a JSON body: what stands in one of its fields is within the bound of what executions carry.
const DEPTH_MAX: usize = DATA_DEPTH_MAX + 1;

/// The bytes of a body, at most `bytes_max` of them.
pub async fn read(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Fault::TooLarge, format!("the body is larger than {bytes_max} bytes"));
    let told = request.headers().get(header::CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let body: Body = request.into_body();
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) if is_too_slow(&*error) => Err(Problem::new(Fault::TooSlow, "the body comes too slowly")),
        Err(_) => Err(Problem::new(Fault::Malformed, "the body broke off before its end")),
    }
}

/// Whoever hands the bytes through has a patience of their own.
fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
        || error.source().is_some_and(is_too_slow)
}

/// A JSON body, whatever its content type says. No body reads as an empty object.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse(&read(request, JSON_BYTES_MAX).await?).map(Self)
    }
}

/// Reads JSON; errors name the field, the line and the column.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    if nesting(bytes) > DEPTH_MAX {
        let detail = format!("the body is nested deeper than {DEPTH_MAX} levels");
        return Err(Problem::new(Fault::Malformed, detail));
    }
    // serde would take a list for an object's fields in their order, and show what it did not expect: a text may be a secret
    // that somebody forgot to put into an object.
    let found = match bytes.trim_ascii_start().first() {
        Some(b'[') => Some("list"),
        Some(b'"') => Some("text"),
        Some(b'-' | b'0'..=b'9') => Some("number"),
        _ => None,
    };
    if let Some(found) = found {
        return Err(Problem::new(Fault::Malformed, format!("the body is a JSON {found}, an object is expected")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        match path.as_str() {
            "." | "?" => Problem::new(Fault::Malformed, format!("the body: {inner}")),
            path => Problem::new(Fault::Malformed, format!("`{path}`: {inner}")).with("field", path),
        }
    })?;
    deserializer.end().map_err(|error| Problem::new(Fault::Malformed, format!("the body: {error}")))?;
    Ok(read)
}

/// Reads a map. Whatever else stands there may be a secret, and is not shown.
pub fn map<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Maps<T>(PhantomData<T>);

    /// What serde's own visitor would name with its value.
    macro_rules! refused {
        ($($visit:ident($what:ty)),+) => {
            $(fn $visit<E: Error>(self, _: $what) -> Result<T, E> {
                Err(E::custom("a map is expected"))
            })+
        };
    }

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Maps<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }

        refused!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    }

    deserializer.deserialize_any(Maps(PhantomData))
}

/// How deep brackets are nested outside of texts; the same as that of the value, if it is JSON.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Order {
        #[serde(default)]
        count: u32,
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        assert!(parse::<Order>(b" ").is_ok());
        for (body, named) in [
            ("{\"count\": \"x\"}", "`count`"),
            ("{\"cuont\": 1}", "`cuont`"),
            ("{\"count\": 1", "line 1 column 11"),
            ("{} {}", "trailing characters"),
            ("[1]", "list"),
            (" \"hunter2\"", "a JSON text, an object is expected"),
            ("-98765", "a JSON number, an object is expected"),
            ("true", "boolean `true`"),
        ] {
            let problem = serde_json::to_string(&parse::<Order>(body.as_bytes()).unwrap_err()).unwrap();
            assert!(problem.contains(named), "{body}: {problem}");
            assert!(!problem.contains("hunter2") && !problem.contains("98765"), "{body}: {problem}");
        }
    }

    #[test]
    fn a_body_is_held_to_its_depth() {
        let body = |levels: usize| format!("{{\"a\\\"[\": {}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(nesting(body(3).as_bytes()), 3);
        assert!(parse::<camshaft_model::Value>(body(DEPTH_MAX).as_bytes()).is_ok());
        let problem = parse::<camshaft_model::Value>(body(DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert!(problem.detail().contains("99"), "{}", problem.detail());
    }

    #[tokio::test]
    async fn a_body_is_held_to_its_bound_whether_or_not_it_tells_its_length() {
        let request = |body: Body| Request::new(body);
        assert_eq!(read(request(Body::from("1234")), 4).await.unwrap().len(), 4);
        assert_eq!(read(request(Body::from("12345")), 4).await.unwrap_err().status(), 413);
        let pieces = futures::stream::iter(vec![Ok::<_, std::io::Error>("123"), Ok("45")]);
        assert_eq!(read(request(Body::from_stream(pieces)), 4).await.unwrap_err().status(), 413);
        let mut told = request(Body::empty());
        told.headers_mut().insert(header::CONTENT_LENGTH, "5".parse().unwrap());
        assert_eq!(read(told, 4).await.unwrap_err().status(), 413);
    }
}
