//! `wasi:http/outgoing-handler`, driven to the end of one exchange.

use super::component::nanoseconds;
use crate::http::{HttpError, Method, Outgoing, Response};
use std::time::Duration;
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// Bytes that one write may hand over, by the contract of `blocking-write-and-flush`.
const WRITE_BYTES_MAX: usize = 4096;
/// Bytes asked for with one read.
const READ_BYTES: u64 = 64 * 1024;

pub(crate) fn send(request: &Outgoing) -> Result<Response, HttpError> {
    let clock = Deadline::after(request.timeout);
    let (outgoing, body) = prepare(request)?;
    let options = options(request.timeout);
    // The host may start sending at once and holds only little of the body, so the exchange starts before the body is written.
    let future = outgoing_handler::handle(outgoing, Some(options)).map_err(|code| fault(&code, request))?;
    write(body, &request.body);
    clock.wait(&future.subscribe(), request)?;
    let answer = future.get().and_then(Result::ok).ok_or_else(|| broken(request))?;
    match answer {
        Ok(response) => read(response, &clock, request),
        Err(code) => Err(fault(&code, request)),
    }
}

fn prepare(request: &Outgoing) -> Result<(OutgoingRequest, OutgoingBody), HttpError> {
    let invalid = |what: &str| HttpError::Invalid(format!("{what} of `{}` is refused by the host", request.url()));
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let fields =
        Fields::from_list(&headers).map_err(|error| HttpError::Invalid(format!("a header is refused: {error}")))?;
    let outgoing = OutgoingRequest::new(fields);
    let scheme = if request.target.secure { Scheme::Https } else { Scheme::Http };
    outgoing.set_method(&method(&request.method)).map_err(|()| invalid("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("the scheme"))?;
    outgoing.set_authority(Some(&request.target.authority)).map_err(|()| invalid("the host"))?;
    outgoing.set_path_with_query(Some(&request.target.path_and_query)).map_err(|()| invalid("the path"))?;
    let body = outgoing.body().map_err(|()| invalid("the body"))?;
    Ok((outgoing, body))
}

fn method(method: &Method) -> wasip2::http::types::Method {
    use wasip2::http::types::Method as Wasi;
    match method.as_str() {
        "GET" => Wasi::Get,
        "HEAD" => Wasi::Head,
        "POST" => Wasi::Post,
        "PUT" => Wasi::Put,
        "DELETE" => Wasi::Delete,
        "CONNECT" => Wasi::Connect,
        "OPTIONS" => Wasi::Options,
        "TRACE" => Wasi::Trace,
        "PATCH" => Wasi::Patch,
        other => Wasi::Other(other.to_owned()),
    }
}

/// The host's own timeouts, as far as it has them; [`Deadline`] holds for the whole exchange.
fn options(timeout: Duration) -> RequestOptions {
    let options = RequestOptions::new();
    let limit = Some(nanoseconds(timeout));
    // A host may not know these; the deadline holds anyway.
    let _ = options.set_connect_timeout(limit);
    let _ = options.set_first_byte_timeout(limit);
    let _ = options.set_between_bytes_timeout(limit);
    options
}

/// Writes the body. A server may answer and close before it has read everything, so a write that fails is no failure: what
/// there is to say comes with the answer.
fn write(body: OutgoingBody, bytes: &[u8]) {
    if !bytes.is_empty()
        && let Ok(stream) = body.write()
    {
        let stream: OutputStream = stream;
        for chunk in bytes.chunks(WRITE_BYTES_MAX) {
            if stream.blocking_write_and_flush(chunk).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

fn read(response: IncomingResponse, clock: &Deadline, request: &Outgoing) -> Result<Response, HttpError> {
    let status = response.status();
    let headers = response.headers().entries();
    let body: IncomingBody = response.consume().map_err(|()| broken(request))?;
    let stream: InputStream = body.stream().map_err(|()| broken(request))?;
    let mut bytes = Vec::new();
    loop {
        clock.wait(&stream.subscribe(), request)?;
        match stream.read(READ_BYTES) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(match wasip2::http::types::http_error_code(&error) {
                    Some(code) => fault(&code, request),
                    None => broken(request),
                });
            }
        }
    }
    Ok(Response { status, headers, body: bytes })
}

/// When the whole exchange has to be over.
struct Deadline {
    timer: Pollable,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Self { timer: monotonic_clock::subscribe_duration(nanoseconds(timeout)) }
    }

    fn wait(&self, ready: &Pollable, request: &Outgoing) -> Result<(), HttpError> {
        let done = poll::poll(&[ready, &self.timer]);
        if done.contains(&0) {
            return Ok(());
        }
        Err(HttpError::Timeout(format!(
            "{} did not answer within {} ms",
            request.target.origin(),
            request.timeout.as_millis()
        )))
    }
}

fn broken(request: &Outgoing) -> HttpError {
    HttpError::Unavailable(format!("the connection to {} broke off", request.target.origin()))
}

fn fault(code: &ErrorCode, request: &Outgoing) -> HttpError {
    let origin = request.target.origin();
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            HttpError::Denied(format!("{origin} is not granted to this plugin"))
        }
        ErrorCode::ConnectionTimeout | ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            HttpError::Timeout(format!("{origin} did not answer within {} ms", request.timeout.as_millis()))
        }
        ErrorCode::HttpResponseBodySize(_) => HttpError::TooLarge(format!("the answer of {origin} is too large")),
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => {
            HttpError::Unavailable(format!("no host for {origin} was found"))
        }
        ErrorCode::ConnectionRefused => HttpError::Unavailable(format!("{origin} refused the connection")),
        ErrorCode::HttpRequestUriInvalid => HttpError::Invalid(format!("`{}` is not a URL", request.url())),
        other => HttpError::Unavailable(format!("no answer from {origin}: {}", name(other))),
    }
}

/// The code's own name, without its payload, in words.
fn name(code: &ErrorCode) -> String {
    let text = format!("{code:?}");
    let end = text.rfind("::").map_or(0, |at| at + 2);
    text[end..].chars().take_while(|letter| letter.is_alphanumeric()).collect()
}
