//! One server, asked over HTTP.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use ureq::http::{Request, Response, Uri};

/// How long the way to a server may take. Its answers may take longer, as a caller may wait for an execution.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the server lets a stream of events last: one that takes longer is broken, though nobody has said so.
const STREAM_TAKES: Duration = Duration::from_secs(16 * 60);
/// What the system says of a connection that was there.
const HUNG_UP: [ErrorKind; 3] = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];

/// A server and the token to ask it with.
pub(crate) struct Client {
    url: String,
    token: Option<String>,
    workspace: Option<String>,
    agent: ureq::Agent,
}

/// Why there is no good answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Nobody answers.
    Unreachable {
        /// Who was asked.
        url: String,
        /// What the network said.
        why: String,
    },
    /// Somebody answers, and hung up before the answer was whole.
    BrokenOff {
        /// Who was asked.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The server refused; a problem details object (RFC 9457), or whatever came.
    Refused {
        /// The status.
        status: u16,
        /// The problem.
        problem: Value,
    },
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { url, why } => {
                write!(f, "no server answers at {url} ({why}); is it running? `camshaft serve` starts one")
            }
            Self::BrokenOff { url, why } => {
                write!(f, "the server at {url} hung up before it had answered ({why})")
            }
            Self::Refused { status, problem } => {
                let said = ["detail", "message", "title"].iter().find_map(|key| problem[*key].as_str());
                match said {
                    Some(said) => write!(f, "{said} ({status})"),
                    None => write!(f, "the server answers {status}"),
                }
            }
        }
    }
}

impl std::error::Error for ClientError {}

/// An answer that is no refusal.
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Headers, in their order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body's text.
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON, null where it is empty.
    pub(crate) fn json(&self) -> Result<Value> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).context("the server's answer is no JSON; is this a Camshaft server?")
    }
}

impl Client {
    /// Nothing is sent yet; a text that is no URL of a server is told with the first request.
    pub(crate) fn new(url: &str, token: Option<String>, workspace: Option<String>) -> Self {
        let url = url.trim();
        // What has no host is named as it was written.
        let url = if url.ends_with("://") { url } else { url.trim_end_matches('/') };
        let is_here = host(url).is_some_and(|host| is_loopback(&host));
        // A redirect would carry the token to whoever it names.
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT));
        if is_here {
            // Proxies of the environment know nothing of this machine's loopback.
            config = config.proxy(None);
        }
        let given = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        // The file is for whoever runs the server in this very folder; its token is nobody else's business.
        let token = given.or_else(|| if is_here { token_of_this_folder() } else { None });
        Self { url: url.to_owned(), token, workspace, agent: config.build().into() }
    }

    /// A request whose answer is JSON.
    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        self.send(method, path, &[("Content-Type", "application/json")], &body)?.json()
    }

    /// `GET`
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.json("GET", path, &Value::Null)
    }

    /// Every item of a list, page by page.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{sign}limit=200{after}"))?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", escape(next)),
                None => return Ok(items),
            }
        }
    }

    /// Items of a list that begins with the newest, at most so many, however many pages they are on.
    pub(crate) fn newest(&self, path: &str, limit: usize) -> Result<Vec<Value>> {
        let (mut items, mut before) = (Vec::new(), String::new());
        loop {
            let page =
                self.get(&format!("{path}&limit={}{before}", limit.saturating_sub(items.len()).clamp(1, 200)))?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str().filter(|_| items.len() < limit) {
                Some(next) => before = format!("&before={}", escape(next)),
                None => return Ok(items),
            }
        }
    }

    /// Any request.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut answer = self.run(method, path, headers, body)?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let text = self.text(&mut answer)?;
        if status >= 400 {
            return Err(refused(status, text).into());
        }
        Ok(Answer { status, headers, text })
    }

    /// `GET`, of something that may be larger than memory. Errors leave a part of it written.
    pub(crate) fn download(&self, path: &str, into: &mut impl Write) -> Result<()> {
        let mut answer = self.run("GET", path, &[], &[])?;
        let status = answer.status().as_u16();
        if status >= 400 {
            return Err(refused(status, self.text(&mut answer)?).into());
        }
        std::io::copy(&mut answer.body_mut().as_reader(), into)?;
        Ok(())
    }

    /// `GET`, of server-sent events from behind one of them on; none where nothing follows it.
    pub(crate) fn events(&self, path: &str, last: Option<u64>) -> Result<Option<impl BufRead + use<>>> {
        let last = last.map(|last| last.to_string());
        let headers: Vec<_> = last.iter().map(|last| ("Last-Event-ID", last.as_str())).collect();
        let request = self.request("GET", path, &headers)?.body(()).map_err(malformed)?;
        let request = self.agent.configure_request(request).timeout_recv_body(Some(STREAM_TAKES)).build();
        let mut answer = self.agent.run(request).map_err(|error| self.unreachable(&error))?;
        match answer.status().as_u16() {
            204 => Ok(None),
            status if status >= 400 => Err(refused(status, self.text(&mut answer)?).into()),
            _ => Ok(Some(BufReader::new(answer.into_body().into_reader()))),
        }
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<ureq::http::request::Builder> {
        if host(&self.url).is_none() {
            bail!("`{}` is no URL of a server; one is http://127.0.0.1:7400", self.url);
        }
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(workspace) = &self.workspace {
            request = request.header("Camshaft-Workspace", workspace);
        }
        Ok(request)
    }

    fn run(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response<ureq::Body>> {
        let request = self.request(method, path, headers)?;
        let answered = match body {
            [] => self.agent.run(request.body(()).map_err(malformed)?),
            body => self.agent.run(request.body(body).map_err(malformed)?),
        };
        Ok(answered.map_err(|error| self.unreachable(&error))?)
    }

    fn text(&self, answer: &mut Response<ureq::Body>) -> Result<String> {
        let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec();
        Ok(String::from_utf8_lossy(&bytes.map_err(|error| self.unreachable(&error))?).into_owned())
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        let (url, why) = (self.url.clone(), error.to_string());
        match error {
            ureq::Error::Io(error) if HUNG_UP.contains(&error.kind()) => ClientError::BrokenOff { url, why },
            _ => ClientError::Unreachable { url, why },
        }
    }
}

/// The first start of a server writes its token there.
fn token_of_this_folder() -> Option<String> {
    let token = std::fs::read_to_string("camshaft-data/admin-token").ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

fn host(url: &str) -> Option<String> {
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")))?;
    uri.host().map(str::to_owned)
}

/// The builder's own message would show the token.
fn malformed(_: ureq::http::Error) -> anyhow::Error {
    anyhow!("the token, or the URL, has characters that HTTP does not allow")
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn refused(status: u16, text: String) -> ClientError {
    let problem = serde_json::from_str(&text).unwrap_or(Value::String(text));
    ClientError::Refused { status, problem }
}

/// A text as one segment of a path, or one value of a query.
pub(crate) fn escape(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~@".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_says_what_the_server_said() {
        let refused = |problem| ClientError::Refused { status: 404, problem }.to_string();
        assert_eq!(
            refused(json!({"title": "Not found", "detail": "there is no workflow `x`"})),
            "there is no workflow `x` (404)"
        );
        assert_eq!(refused(json!("<html>")), "the server answers 404");
    }

    #[test]
    fn a_server_that_hangs_up_is_not_one_that_is_not_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // It reads nothing, so that the rest of the request meets a closed connection.
        let hangs_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let client = Client::new(&url, Some("token".to_owned()), None);
        let error = client.send("POST", "/", &[], &vec![0; 64 << 20]).map(|answer| answer.status).unwrap_err();
        hangs_up.join().unwrap();
        assert!(error.to_string().contains("hung up before it had answered"), "{error:#}");
        drop(client);
    }

    #[test]
    fn names_are_escaped_in_paths() {
        assert_eq!(escape("a b/ü@1"), "a%20b%2F%C3%BC@1");
    }

    #[test]
    fn what_is_no_url_of_a_server_is_named() {
        for bad in ["", "localhost:7400", "ftp://a", "http://", "http://a b"] {
            let error = Client::new(bad, Some("token".to_owned()), None).get("/").unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{bad:?}: {error}");
        }
    }

    #[test]
    fn only_this_machine_gets_the_token_of_its_file() {
        for (host, is_here) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("localhost", true),
            ("10.0.0.1", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
        ] {
            assert_eq!(is_loopback(host), is_here, "{host}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_never_shown() {
        let client = Client::new("http://127.0.0.1:1", Some("se\ncret".to_owned()), None);
        let error = format!("{:#}", client.get("/").unwrap_err());
        assert!(error.contains("characters") && !error.contains("cret"), "{error}");
    }
}
