//! What every request and every answer carries, whatever stands behind: an id, a count, and no panic.
//!
//! One function around the router instead of a stack of layers: the trigger URLs answer thousands of requests a second.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Method, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use camshaft_triggers::http::SentRequestIds;
use futures::FutureExt;
use tower::Service;

use crate::api::problem::{Inside, Problem};
use crate::observe::Metrics;
use crate::vault::random;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller.
const ID_BYTES_MAX: usize = 128;

/// The router in its envelope.
pub struct Envelope {
    router: Router,
    metrics: Metrics,
    /// Told apart from other processes by this, from other requests of this process by the count.
    process: u64,
    count: AtomicU64,
}

impl Envelope {
    /// Puts a router into an envelope.
    pub fn new(router: Router, metrics: Metrics) -> anyhow::Result<Self> {
        Ok(Self { router, metrics, process: u64::from_le_bytes(random()?), count: AtomicU64::new(0) })
    }

    /// Answers a request of this peer.
    pub async fn answer(&self, mut request: Request<Body>, peer: Option<SocketAddr>) -> Response {
        let began = Instant::now();
        let id = match request.headers().get(&REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => given.clone(),
            _ => {
                let made = self.make_id();
                let sent = request.headers().get_all(&REQUEST_ID).iter().cloned().collect();
                request.extensions_mut().insert(SentRequestIds(sent));
                request.headers_mut().insert(REQUEST_ID, made.clone());
                made
            }
        };
        // For the log alone; both are reference-counted or static, so this copies nothing.
        let (method, uri) = (request.method().clone(), request.uri().clone());
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let mut router = self.router.clone();
        let mut response = match AssertUnwindSafe(router.call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => {
                self.metrics.panicked();
                let what = panic.downcast_ref::<String>().map(String::as_str);
                let what = what.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
                Problem::internal(format!("the handler panicked: {what}")).into_response()
            }
        };
        let took = began.elapsed();
        self.metrics.answered(response.status().as_u16(), took);
        log(&response, &method, uri.path(), &id, took);
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    fn make_id(&self) -> HeaderValue {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{count:x}", self.process);
        HeaderValue::from_maybe_shared(Bytes::from(text)).expect("hexadecimal digits are a header value")
    }
}

/// Our own failures loudly, with what the caller was not told; everything else, a workflow's own 500 too, only where
/// somebody looks for it. The query is left out: people put tokens there.
fn log(response: &Response, method: &Method, path: &str, id: &HeaderValue, took: Duration) {
    let status = response.status().as_u16();
    let id = id.to_str().unwrap_or_default();
    if let Some(Inside(inside)) = response.extensions().get::<Inside>() {
        tracing::error!(request_id = id, %method, path, status, inside, "a request failed");
    } else {
        tracing::debug!(request_id = id, %method, path, status, ?took, "a request was answered");
    }
}

/// An id that can be shown, logged and searched for without a second thought.
fn is_sane(id: &[u8]) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use axum::routing::get;

    use super::*;

    fn envelope() -> Envelope {
        let router = Router::new()
            .route("/", get(|headers: HeaderMap| async move { headers["x-request-id"].to_str().unwrap().to_owned() }))
            .route(
                "/panic",
                get(|| async {
                    if true {
                        panic!("the kettle boils over")
                    }
                }),
            );
        Envelope::new(router, Metrics::install().unwrap()).unwrap()
    }

    async fn ask(envelope: &Envelope, path: &str, id: Option<&str>) -> (u16, String, String) {
        let mut request = Request::builder().uri(path);
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        let response = envelope.answer(request.body(Body::empty()).unwrap(), None).await;
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, id, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_sane_id_is_kept_and_any_other_is_made_anew() {
        let envelope = envelope();
        let (_, told, seen) = ask(&envelope, "/", Some("abc-1:2")).await;
        assert_eq!((told.as_str(), seen.as_str()), ("abc-1:2", "abc-1:2"));
        let long = "x".repeat(129);
        let mut made = std::collections::HashSet::new();
        for bad in [None, Some("a b"), Some("<script>"), Some(long.as_str()), Some("")] {
            let (_, told, seen) = ask(&envelope, "/", bad).await;
            assert_eq!(told, seen, "the handler and the caller see one id");
            assert!(bad != Some(told.as_str()));
            assert!(made.insert(told), "no id twice");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_that_tells_nothing() {
        let (status, id, body) = ask(&envelope(), "/panic", Some("here")).await;
        assert_eq!((status, id.as_str()), (500, "here"));
        assert!(!body.contains("kettle"), "{body}");
        assert!(body.contains("urn:camshaft:problem:internal"), "{body}");
    }
}
