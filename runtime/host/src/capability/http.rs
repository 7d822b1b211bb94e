//! `wasi:http/outgoing-handler`: requests to hosts that a grant names.
//!
//! The name is resolved here, every address is checked, and the connection goes to the address that was checked, so that a
//! name which answers differently the second time gains nothing. Redirects are the guest's: each is a request of its own.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use camshaft_model::limits::Budget;
use camshaft_model::outcome::{Failure, FailureKind};
use camshaft_model::plugin::Grant;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::StandIn;
use crate::address::{self, Origin, Refused, default_port, granted};
use crate::budget::Breach;
use crate::capability::kept::{Asked, Keeping};
use crate::state::CallState;
use crate::tls::tls;

/// How long a connection may take, where the guest sets no shorter time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a response's headers.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// The outbound side of one call.
pub(crate) struct Outbound {
    grant: Arc<Grant>,
    requests_max: u32,
    response_bytes_max: u64,
    pub(crate) requests: u32,
    verdict: Verdict,
    stand_in: Option<StandIn>,
    keeping: Option<Keeping>,
}

/// What went wrong outside, kept so that it wins over what the guest makes of it.
#[derive(Clone, Default)]
pub(crate) struct Verdict(Arc<Mutex<Option<Failure>>>);

impl Verdict {
    pub(crate) fn set(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    pub(crate) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Outbound {
    pub(crate) fn new(grant: Arc<Grant>, budget: &Budget, stand_in: Option<StandIn>) -> Self {
        Self {
            grant,
            requests_max: budget.requests,
            response_bytes_max: budget.response_bytes,
            requests: 0,
            verdict: Verdict::default(),
            stand_in,
            keeping: None,
        }
    }

    /// Lets the guest have answers kept, and gives it those that are.
    pub(crate) fn keep(&mut self, keeping: Keeping) {
        self.keeping = Some(keeping);
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

pub(super) type WasiBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Error>;
type Driving = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Driving), Error>> + Send>;

impl WasiHttpHooks for Outbound {
    fn send_request(&mut self, request: http::Request<WasiBody>, options: Option<RequestOptions>, _: Driving) -> Sent {
        self.requests += 1;
        if self.requests > self.requests_max {
            let (limit, used) = (u64::from(self.requests_max), u64::from(self.requests));
            self.verdict.set(Breach { bound: "requests", limit, used, unit: "requests" }.failure());
            return Box::new(async { Err(Error::ConnectionLimitReached) });
        }
        let (grant, verdict, bytes_max) = (self.grant.clone(), self.verdict.clone(), self.response_bytes_max);
        let stand_in = self.stand_in.clone();
        let asked = self.keeping.as_ref().and_then(|keeping| keeping.asked(&request));
        Box::new(async move {
            let target = match target(&request, &grant) {
                Ok(target) => target,
                Err(failure) => {
                    verdict.set(failure);
                    return Err(Error::HttpRequestDenied);
                }
            };
            if let Some(kept) = asked.as_ref().and_then(Asked::kept) {
                return Ok((kept, Box::new(async { Ok(()) }) as Driving));
            }
            let (response, driving) = if let Some(stand_in) = stand_in {
                let exchange = Exchange { request, first_byte: None, verdict, bytes_max };
                exchange.over(stand_in(&target.host)).await?
            } else {
                send(request, options, target, &grant, verdict, bytes_max).await?
            };
            match asked {
                Some(asked) => Ok((asked.keep(response).await?, driving)),
                None => Ok((response, driving)),
            }
        })
    }
}

/// Where a request goes.
struct Target {
    tls: bool,
    host: String,
    port: u16,
}

/// The destination, if a grant names it.
fn target(request: &http::Request<WasiBody>, grant: &Grant) -> Result<Target, Failure> {
    let denied = |message: String| Failure::new(FailureKind::Denied, message);
    let uri = request.uri();
    let scheme = uri.scheme_str().unwrap_or("https");
    let Some(host) = uri.host() else { return Err(denied(format!("the request to `{uri}` names no host"))) };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(denied(format!("the request to `{host}` names a user in front of its host")));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(default_port(scheme));
    if !granted(grant, &Origin { scheme, host: &host, port }) {
        return Err(denied(format!("{scheme}://{host}:{port} is not granted to this plugin")));
    }
    Ok(Target { tls: scheme == "https", host, port })
}

/// Addresses that the target may be reached at.
async fn resolve(target: &Target, grant: &Grant, verdict: &Verdict) -> Result<Vec<SocketAddr>, Error> {
    let found: Vec<SocketAddr> = match target.host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, target.port)],
        Err(_) => tokio::net::lookup_host((target.host.as_str(), target.port))
            .await
            .map_err(|_| Error::DnsError { rcode: Some("the name is not known".to_owned()), info_code: None })?
            .collect(),
    };
    address::reachable(found, grant.private_addresses).map_err(|refused| {
        let Some((ip, why)) = refused else { return Error::DestinationNotFound };
        let why = match why {
            Refused::Private => "a private address; the grant does not allow those",
            Refused::Metadata => "a cloud's metadata service, which no grant allows",
        };
        verdict.set(Failure::new(FailureKind::Denied, format!("`{}` is {ip}, {why}", target.host)));
        Error::DestinationIpProhibited
    })
}

async fn send(
    mut request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
    target: Target,
    grant: &Grant,
    verdict: Verdict,
    bytes_max: u64,
) -> Result<(http::Response<WasiBody>, Driving), Error> {
    let within = |asked: Option<Duration>| asked.unwrap_or(CONNECT_TIMEOUT).min(CONNECT_TIMEOUT);
    let connect = within(options.as_ref().and_then(|options| options.connect_timeout));
    let connecting = async {
        let addresses = resolve(&target, grant, &verdict).await?;
        let stream = TcpStream::connect(&addresses[..]).await.map_err(Error::Connect)?;
        // A request is written at once; waiting for more of it only costs time.
        stream.set_nodelay(true).map_err(Error::Connect)?;
        Ok::<_, Error>(stream)
    };
    let stream = tokio::time::timeout(connect, connecting).await.map_err(|_| Error::ConnectionTimeout)??;

    if !request.headers().contains_key(http::header::HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = http::HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(http::header::HOST, host);
    }
    // To the origin itself only the path is said (RFC 9112 3.2.1).
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;

    let first_byte = options.as_ref().and_then(|options| options.first_byte_timeout);
    let exchange = Exchange { request, first_byte, verdict, bytes_max };
    if target.tls {
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::HttpRequestUriInvalid)?;
        let connector = TlsConnector::from(tls().clone());
        let stream = tokio::time::timeout(connect, connector.connect(name, stream));
        exchange.over(stream.await.map_err(|_| Error::ConnectionTimeout)?.map_err(Error::Tls)?).await
    } else {
        exchange.over(stream).await
    }
}

struct Exchange {
    request: http::Request<WasiBody>,
    first_byte: Option<Duration>,
    verdict: Verdict,
    bytes_max: u64,
}

impl Exchange {
    async fn over<S>(self, stream: S) -> Result<(http::Response<WasiBody>, Driving), Error>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(HEADER_BYTES_MAX);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // Driven beside the request; it ends with the last of the two.
        let connection = AbortOnDrop(tokio::spawn(connection));
        let sending = sender.send_request(self.request);
        let response = match self.first_byte {
            Some(limit) => tokio::time::timeout(limit, sending).await.map_err(|_| Error::ConnectionReadTimeout)?,
            None => sending.await,
        }?;
        let (verdict, bytes_max) = (self.verdict, self.bytes_max);
        let response = response.map(|incoming| Bounded { incoming, verdict, bytes_max, read: 0 }.boxed_unsync());
        let driving = async move {
            let mut connection = connection;
            match (&mut connection.0).await {
                Ok(Ok(())) | Err(_) => Ok(()),
                Ok(Err(error)) => Err(Error::from(error)),
            }
        };
        Ok((response, Box::new(driving)))
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<Result<(), hyper::Error>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A response's body up to the bound.
struct Bounded {
    incoming: Incoming,
    verdict: Verdict,
    bytes_max: u64,
    read: u64,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.read += data.len() as u64;
            if self.read > self.bytes_max {
                let (limit, used) = (self.bytes_max, self.read);
                self.verdict.set(Breach { bound: "response", limit, used, unit: "bytes" }.failure());
                return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(limit)))));
            }
        }
        polled.map_err(Error::from)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
