//! Sending to URLs that people put in. A name is resolved here, and the connection goes to an address that was checked.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use camshaft_model::limits::{POST_TAKES_MAX, URL_BYTES_MAX};
use camshaft_model::seams::{NotPosted, Post, Posting};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use wasmtime_wasi_http::io::TokioIo;

use crate::address::{self, Refused, default_port};
use crate::tls::tls;

/// Most bytes of an answer's head.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// What the operator allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PostRules {
    /// URLs without TLS.
    pub http: bool,
    /// Private, loopback and otherwise special addresses.
    pub private_addresses: bool,
}

/// Sends to URLs.
pub struct Poster {
    rules: PostRules,
}

/// Where a URL leads.
struct Target {
    tls: bool,
    host: String,
    port: u16,
    /// As it stands in the URL.
    authority: String,
    path: String,
}

impl Poster {
    /// One that keeps to these rules.
    pub fn new(rules: PostRules) -> Self {
        Self { rules }
    }

    fn target(&self, url: &str) -> Result<Target, NotPosted> {
        let refused = |why: &str| NotPosted(format!("`{}` {why}", shown(url)));
        if url.len() > URL_BYTES_MAX {
            return Err(refused(&format!("has {} bytes: a URL has at most {URL_BYTES_MAX}", url.len())));
        }
        let uri: Uri = url.parse().map_err(|_| refused("is no URL such as https://example.com/hook"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.rules.http => false,
            Some("http") => return Err(refused("is not https: the configuration does not allow http here")),
            _ => return Err(refused("is no URL such as https://example.com/hook")),
        };
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err(refused("names no host"));
        };
        if authority.as_str().contains('@') {
            return Err(NotPosted(format!("the URL of host `{host}` names a user in front of it")));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(default_port(if tls { "https" } else { "http" }));
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let target = Target { tls, host, port, authority: authority.to_string(), path };
        if let Ok(address) = target.host.parse::<IpAddr>() {
            self.reachable(&target, [SocketAddr::new(address, target.port)])?;
        }
        Ok(target)
    }

    fn reachable(
        &self,
        target: &Target,
        found: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, NotPosted> {
        address::reachable(found, self.rules.private_addresses).map_err(|refused| {
            let host = &target.host;
            NotPosted(match refused {
                None => format!("`{host}` has no address"),
                Some((ip, Refused::Private)) => {
                    format!("`{host}` is {ip}, a private address; the configuration does not allow those here")
                }
                Some((ip, Refused::Metadata)) => {
                    format!("`{host}` is {ip}, a cloud's metadata service, which is never sent to")
                }
            })
        })
    }

    async fn send(&self, posting: Posting) -> Result<u16, NotPosted> {
        let target = self.target(&posting.url)?;
        let unknown = |_| NotPosted(format!("the name `{}` is not known", target.host));
        let addresses = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, target.port)],
            Err(_) => tokio::net::lookup_host((target.host.as_str(), target.port)).await.map_err(unknown)?.collect(),
        };
        let addresses = self.reachable(&target, addresses)?;
        let unreached = |error: std::io::Error| NotPosted(format!("`{}` cannot be reached: {error}", target.authority));
        let stream = TcpStream::connect(&addresses[..]).await.map_err(unreached)?;
        stream.set_nodelay(true).map_err(unreached)?;
        let request = request(&target, &posting)?;
        if target.tls {
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| NotPosted(format!("`{}` is no name that a certificate could be for", target.host)))?;
            let stream = TlsConnector::from(tls().clone()).connect(name, stream).await;
            let untrusted = |error| NotPosted(format!("`{}`: TLS fails: {error}", target.authority));
            exchange(stream.map_err(untrusted)?, request).await
        } else {
            exchange(stream, request).await
        }
        .map_err(|error| NotPosted(format!("`{}` did not answer: {error}", target.authority)))
    }
}

impl Post for Poster {
    fn check(&self, url: &str) -> Result<(), NotPosted> {
        self.target(url).map(drop)
    }

    fn post(&self, posting: Posting) -> BoxFuture<'_, Result<u16, NotPosted>> {
        let took_too_long = || NotPosted(format!("no answer within {} s", POST_TAKES_MAX.as_secs()));
        tokio::time::timeout(POST_TAKES_MAX, self.send(posting))
            .map(move |sent| sent.unwrap_or_else(|_| Err(took_too_long())))
            .boxed()
    }
}

fn request(target: &Target, posting: &Posting) -> Result<Request<Full<Bytes>>, NotPosted> {
    // To the origin itself only the path is said (RFC 9112 3.2.1).
    let mut request = Request::builder().method(Method::POST).uri(&target.path);
    request = request.header(header::HOST, &target.authority);
    for (name, value) in &posting.headers {
        request = request.header(*name, value);
    }
    let whole = request.body(Full::new(posting.body.clone()));
    whole.map_err(|error| NotPosted(format!("no request to `{}` can be made: {error}", target.authority)))
}

/// One request over one connection, which ends with it: whatever stands behind the answer's head is not read.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u16, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADER_BYTES_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let answered = sender.send_request(request);
    tokio::pin!(answered);
    tokio::select! {
        answer = &mut answered => answer.map(|answer| answer.status().as_u16()),
        // The connection may end as soon as it has handed over the answer.
        ended = connection => {
            let answer = answered.await;
            ended.and(answer).map(|answer| answer.status().as_u16())
        }
    }
}

fn shown(url: &str) -> String {
    url.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: PostRules = PostRules { http: false, private_addresses: false };

    #[test]
    fn a_url_is_refused_for_what_is_wrong_with_it() {
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX - 20));
        let longer = format!("{long}a");
        let open = PostRules { http: true, private_addresses: true };
        for (rules, url, named) in [
            (PUBLIC, "https://example.com/hook?x=1", None),
            (PUBLIC, long.as_str(), None),
            (PUBLIC, &longer, Some("2049 bytes")),
            (PUBLIC, "http://example.com", Some("not https")),
            (PUBLIC, "ftp://example.com", Some("no URL")),
            (PUBLIC, "example.com/hook", Some("no URL")),
            (PUBLIC, "https://", Some("no URL")),
            (PUBLIC, "https://user:hunter2@example.com", Some("names a user")),
            (PUBLIC, "https://127.0.0.1/", Some("a private address")),
            (PUBLIC, "https://[::ffff:10.0.0.1]:8443/", Some("a private address")),
            (PUBLIC, "https://169.254.169.254/", Some("metadata")),
            (open, "http://127.0.0.1:9000/", None),
            (open, "http://[::1]/", None),
            (open, "http://169.254.169.254/", Some("metadata")),
        ] {
            match (Poster::new(rules).check(url), named) {
                (Ok(()), None) => {}
                (Err(NotPosted(why)), Some(named)) => {
                    assert!(why.contains(named) && !why.contains("hunter2"), "{url}: {why}");
                }
                (checked, _) => panic!("{url}: {checked:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_refused_when_it_is_resolved() {
        let posting = |url: &str| Posting { url: url.to_owned(), headers: Vec::new(), body: Bytes::new() };
        let rules = PostRules { http: true, private_addresses: false };
        let NotPosted(why) = Poster::new(rules).post(posting("http://localhost:9/")).await.unwrap_err();
        assert!(why.contains("`localhost` is ") && why.contains("private"), "{why}");
    }
}
