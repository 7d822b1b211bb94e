//! Answers that adapters ask to have kept: what every delivery of a vendor needs, such as a certificate, is fetched once in a while.
//!
//! ```text
//! an adapter's GET that says `Cache-Control: max-age=…` ──► granted? ──► kept, and young enough? ──► what was kept
//!                                                                             └──► outside ──► 200, small ──► kept
//! ```
//!
//! Whether and how long an answer may be kept is HTTP's (RFC 9111), and the request's: nothing is kept that nobody has asked to. One
//! plugin is never given what another was answered. Nobody but the host that is granted can put anything here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use camshaft_model::ids::Digest;
use camshaft_model::limits::{KEPT_ANSWER_BYTES_MAX, KEPT_ANSWERS_MAX};
use camshaft_model::time::Timestamp;
use http::header::{ACCEPT, AGE, CACHE_CONTROL, HOST, HeaderMap, HeaderName, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use hyper::body::Body;
use wasmtime_wasi_http::Error;

use super::http::WasiBody;

/// Headers that a request may have whose answer is kept: those that say nothing of who asks, or of what else.
const PLAIN: [HeaderName; 4] = [ACCEPT, CACHE_CONTROL, HOST, USER_AGENT];

/// The answers, the one that was used last behind.
#[derive(Default)]
pub(crate) struct Kept(Mutex<VecDeque<Answer>>);

struct Answer {
    plugin: Digest,
    uri: Uri,
    policy: CachePolicy,
    body: Bytes,
}

/// What one call may have kept.
pub(crate) struct Keeping {
    kept: Arc<Kept>,
    plugin: Digest,
    now: SystemTime,
}

/// A request whose answer may be kept, or be one that is.
pub(crate) struct Asked {
    keeping: Keeping,
    request: Request<()>,
}

impl Kept {
    /// For a call of a plugin at a time.
    pub(crate) fn keeping(self: &Arc<Self>, plugin: Digest, now: Timestamp) -> Keeping {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis());
        Keeping { kept: self.clone(), plugin, now }
    }
}

impl Keeping {
    /// The question that a request is, where the guest asks for a kept answer.
    pub(crate) fn asked<B>(&self, request: &Request<B>) -> Option<Asked> {
        let headers = request.headers();
        let plain = headers.keys().all(|name| PLAIN.contains(name));
        if request.method() != Method::GET || !says(headers, "max-age") || !plain {
            return None;
        }
        let mut question = Request::new(());
        *question.uri_mut() = request.uri().clone();
        *question.headers_mut() = headers.clone();
        let Self { kept, plugin, now } = self;
        Some(Asked { keeping: Self { kept: kept.clone(), plugin: *plugin, now: *now }, request: question })
    }
}

impl Asked {
    /// What was kept, if it may be used for this.
    pub(crate) fn kept(&self) -> Option<Response<WasiBody>> {
        let Self { keeping: Keeping { kept, plugin, now }, request } = self;
        let mut answers = kept.lock();
        let at = answers.iter().position(|answer| answer.is(*plugin, request))?;
        let answer = answers.remove(at)?;
        let BeforeRequest::Fresh(head) = answer.policy.before_request(request, *now) else { return None };
        let body = answer.body.clone();
        answers.push_back(answer);
        Some(Response::from_parts(head, whole(body)))
    }

    /// Keeps an answer where it may be, and hands it on.
    pub(crate) async fn keep(self, response: Response<WasiBody>) -> Result<Response<WasiBody>, Error> {
        let Self { keeping: Keeping { kept, plugin, now }, request } = self;
        let policy = CachePolicy::new_options(&request, &response, now, CacheOptions::default());
        let small = response.body().size_hint().exact().is_some_and(|bytes| bytes <= KEPT_ANSWER_BYTES_MAX);
        if !small || !may_be_kept(&response, &policy) {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        // An answer that breaks off is none.
        let body = body.collect().await?.to_bytes();
        let mut answers = kept.lock();
        answers.retain(|answer| !answer.is(plugin, &request));
        if answers.len() >= KEPT_ANSWERS_MAX {
            answers.pop_front();
        }
        answers.push_back(Answer { plugin, uri: request.uri().clone(), policy, body: body.clone() });
        drop(answers);
        Ok(Response::from_parts(head, whole(body)))
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn is(&self, plugin: Digest, request: &Request<()>) -> bool {
        self.plugin == plugin && self.uri == *request.uri()
    }
}

/// Whether HTTP allows it, and nothing about the answer is odd. `no-cache` allows to keep what has to be asked for again each time.
fn may_be_kept(response: &Response<WasiBody>, policy: &CachePolicy) -> bool {
    let headers = response.headers();
    let age = headers.get(AGE).is_none_or(|age| age.to_str().is_ok_and(|age| age.parse::<u32>().is_ok()));
    response.status() == StatusCode::OK && policy.is_storable() && !says(headers, "no-cache") && age
}

/// Whether `Cache-Control` holds a directive.
fn says(headers: &HeaderMap, directive: &str) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',')).filter_map(|one| one.split('=').next());
    directives.any(|name| name.trim().eq_ignore_ascii_case(directive))
}

fn whole(body: Bytes) -> WasiBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_767_225_600_000;

    fn get(url: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request = Request::get(url);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
    }

    const AN_HOUR: &[(&str, &str)] = &[("cache-control", "max-age=3600, max-stale=3600")];

    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response<WasiBody> {
        let response = Response::builder().status(status);
        let response = headers.iter().fold(response, |response, (name, value)| response.header(*name, *value));
        response.body(whole(Bytes::copy_from_slice(body))).unwrap()
    }

    struct World(Arc<Kept>);

    impl World {
        fn new() -> Self {
            Self(Arc::default())
        }

        fn asked(&self, plugin: u8, url: &str, later_s: u64) -> Asked {
            let now = Timestamp::from_millis(NOW_MS + later_s * 1000);
            self.0.keeping(Digest([plugin; 32]), now).asked(&get(url, AN_HOUR)).unwrap()
        }

        async fn answered(&self, url: &str, response: Response<WasiBody>) {
            self.asked(1, url, 0).keep(response).await.unwrap();
        }

        async fn kept(&self, plugin: u8, url: &str, later_s: u64) -> Option<Bytes> {
            let response = self.asked(plugin, url, later_s).kept()?;
            Some(response.into_body().collect().await.unwrap().to_bytes())
        }
    }

    const URL: &str = "https://vendor.example/a.pem";

    #[tokio::test]
    async fn an_answer_is_kept_for_its_plugin_and_url_as_long_as_was_asked() {
        let world = World::new();
        assert_eq!(world.kept(1, URL, 0).await, None);
        world.answered(URL, answer(200, &[], b"one")).await;
        assert_eq!(world.kept(1, URL, 3599).await.as_deref(), Some(&b"one"[..]));
        assert_eq!(world.kept(2, URL, 0).await, None, "another plugin");
        for other in ["https://vendor.example/b.pem", "http://vendor.example/a.pem", "https://vendor.example/a.pem?b"] {
            assert_eq!(world.kept(1, other, 0).await, None, "{other}");
        }
        assert_eq!(world.kept(1, URL, 3601).await, None);
        world.answered(URL, answer(200, &[], b"two")).await;
        world.answered(URL, answer(200, &[], b"three")).await;
        assert_eq!(world.kept(1, URL, 0).await.as_deref(), Some(&b"three"[..]));
    }

    #[tokio::test]
    async fn nobody_is_given_what_was_not_to_be_kept() {
        for (status, headers) in [
            (200, [("cache-control", "no-store")]),
            (200, [("cache-control", "private")]),
            (200, [("cache-control", "No-Cache")]),
            (200, [("cache-control", "must-revalidate")]),
            (200, [("vary", "*")]),
            (200, [("age", "18446744073709551615")]),
            (206, [("cache-control", "max-age=60")]),
            (301, [("cache-control", "max-age=60")]),
            (404, [("cache-control", "max-age=60")]),
            (500, [("cache-control", "max-age=60")]),
        ] {
            let world = World::new();
            world.answered(URL, answer(status, &headers, b"x")).await;
            assert_eq!(world.kept(1, URL, 1).await, None, "{status} {headers:?}");
        }
        let world = World::new();
        world.answered(URL, answer(200, &[("cache-control", "max-age=86400")], b"x")).await;
        assert_eq!(world.kept(1, URL, 3600).await.as_deref(), Some(&b"x"[..]));
        assert_eq!(world.kept(1, URL, 3601).await, None, "the request says less than the answer");
    }

    #[test]
    fn only_a_plain_get_that_asks_for_it_is_a_question() {
        let keeping = Arc::new(Kept::default()).keeping(Digest([1; 32]), Timestamp::from_millis(NOW_MS));
        let mut post = get(URL, AN_HOUR);
        *post.method_mut() = Method::POST;
        let mut head = get(URL, AN_HOUR);
        *head.method_mut() = Method::HEAD;
        let more = |name, value| get(URL, &[AN_HOUR[0], (name, value)]);
        for other in [
            get(URL, &[]),
            get(URL, &[("cache-control", "no-cache")]),
            get(URL, &[("cache-control", "max-stale")]),
            more("authorization", "Bearer x"),
            more("cookie", "a=b"),
            more("x-tenant", "a"),
            more("range", "bytes=0-1"),
            post,
            head,
        ] {
            assert!(keeping.asked(&other).is_none(), "{other:?}");
        }
        assert!(keeping.asked(&more("accept", "*/*")).is_some());
    }

    #[tokio::test]
    async fn the_answer_that_was_used_longest_ago_makes_room() {
        let world = World::new();
        let url = |number: usize| format!("https://vendor.example/{number}");
        for number in 0..KEPT_ANSWERS_MAX {
            world.answered(&url(number), answer(200, &[], b"x")).await;
        }
        assert!(world.kept(1, &url(0), 1).await.is_some(), "all of them fit");
        world.answered(&url(KEPT_ANSWERS_MAX), answer(200, &[], b"x")).await;
        assert!(world.kept(1, &url(0), 1).await.is_some(), "used just now");
        assert!(world.kept(1, &url(1), 1).await.is_none());
        assert!(world.kept(1, &url(2), 1).await.is_some());
        assert_eq!(world.0.lock().len(), KEPT_ANSWERS_MAX);
    }

    #[tokio::test]
    async fn an_answer_has_a_bound_and_larger_ones_are_handed_on() {
        let most = usize::try_from(KEPT_ANSWER_BYTES_MAX).unwrap();
        for (bytes, is_kept) in [(most, true), (most + 1, false)] {
            let world = World::new();
            let handed = world.asked(1, URL, 0).keep(answer(200, &[], &vec![b'x'; bytes])).await.unwrap();
            assert_eq!(handed.into_body().collect().await.unwrap().to_bytes().len(), bytes);
            assert_eq!(world.kept(1, URL, 1).await.is_some(), is_kept, "{bytes}");
        }
    }
}
