//! Twilio's signature: over the URL and the form's fields, or over the URL alone, which then holds the hash of the body.
//!
//! Source: <https://github.com/twilio/twilio-python/blob/9.13.0/twilio/request_validator.py>.

use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::{self, Algorithm, Encoding};

const HEADER: &str = "X-Twilio-Signature";
/// `key=…,algorithm=HMAC_SHA256`, where the account signs with a shared key in place of its Auth Token.
const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";
/// The parameter of the URL that holds the hash of a body that is no form.
const BODY_HASH: &str = "bodySHA256";

/// The query of the URL that is signed.
pub(crate) fn query(request: &Request) -> &[u8] {
    request.public_url.split_once('?').map_or(&[], |(_, query)| query.as_bytes())
}

/// Whether the fields of a form are signed, which also holds for a delivery by `GET` that has none. What has its hash in the URL is no
/// form, whatever its type and however short it is: nobody signs the type.
pub(crate) fn is_form(request: &Request) -> bool {
    let is_hashed = Request::form_field(query(request), BODY_HASH).is_some();
    !is_hashed && (request.body.is_empty() || request.is("application/x-www-form-urlencoded"))
}

pub(crate) fn verify(request: &Request, keys: &[&str]) -> Result<(), Rejection> {
    let algorithm = algorithm(request.header(SETTINGS)?.unwrap_or_default())?;
    let signature = verify::signature(verify::header(request, HEADER)?, "", Encoding::Base64)?;
    let mut fields = Vec::new();
    if is_form(request) {
        fields = Request::form_fields(&request.body);
        // Sorted by name and value, and the same field with the same value once, as Twilio's libraries do.
        fields.sort();
        fields.dedup();
    } else {
        let given = Request::form_field(query(request), BODY_HASH).and_then(|hash| String::from_utf8(hash).ok());
        let given = given.and_then(|hash| Encoding::Hex.decode(&hash));
        if !given.is_some_and(|hash| verify::same(&hash, &verify::sha256(&request.body))) {
            return Err(Rejection::Unauthorized("the body is not the one of `bodySHA256` in the URL".to_owned()));
        }
    }
    // Whether the port is signed depends on the product.
    let urls = [Some(request.public_url.clone()), without_port(&request.public_url), with_port(&request.public_url)];
    let made = |url: &String| {
        let mut parts = vec![url.as_bytes()];
        parts.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
        match algorithm {
            Algorithm::Sha1 => verify::hmac(Algorithm::Sha1, keys, &parts, &signature).is_ok(),
            _ => verify::hmac(Algorithm::Sha256, keys, &parts, &signature).is_ok(),
        }
    };
    if urls.iter().flatten().any(made) {
        return Ok(());
    }
    Err(Rejection::Unauthorized("the signature does not match the URL and the body".to_owned()))
}

/// What the settings name; SHA-1 where they name nothing.
fn algorithm(settings: &str) -> Result<Algorithm, Rejection> {
    let named = settings.split(',').filter_map(|part| part.split_once('='));
    let named = named.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == "algorithm");
    match named.map(|(_, value)| value.to_ascii_uppercase()).as_deref() {
        None | Some("" | "HMAC_SHA1") => Ok(Algorithm::Sha1),
        Some("HMAC_SHA256") => Ok(Algorithm::Sha256),
        Some(other) => Err(Rejection::Unsupported(format!("deliveries are not verified by `{other}`"))),
    }
}

/// A delivery with its signature: the URL holds the hash of the body, and is signed.
pub(crate) fn sign(delivery: Request, key: &str) -> Request {
    let hash = Encoding::Hex.encode(&verify::sha256(&delivery.body));
    signed(delivery.with_parameter(BODY_HASH, &hash), &[], key)
}

/// The same with these fields as a form, which is signed itself.
pub(crate) fn sign_form(delivery: Request, fields: impl IntoIterator<Item = (String, Value)>, key: &str) -> Request {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let written = |form: Request, (name, value): (String, Value)| form.with_parameter(&name, &text(&value));
    let body = fields.into_iter().fold(Request::default(), written).query.into_bytes();
    let delivery = Request { body, ..delivery }.with_header("Content-Type", "application/x-www-form-urlencoded");
    let mut fields = Request::form_fields(&delivery.body);
    fields.sort();
    signed(delivery, &fields, key)
}

fn signed(delivery: Request, fields: &[(Vec<u8>, Vec<u8>)], key: &str) -> Request {
    let mut parts = vec![delivery.public_url.as_bytes()];
    parts.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
    let mac = verify::hmac_of(Algorithm::Sha1, key.as_bytes(), &parts);
    delivery.with_header(HEADER, &Encoding::Base64.encode(&mac))
}

/// Scheme, host and port, and the rest of a URL.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Some((scheme, host, rest))
}

fn without_port(url: &str) -> Option<String> {
    let (scheme, host, rest) = split(url)?;
    let (name, port) = host.rsplit_once(':')?;
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{scheme}://{name}{rest}"))
}

fn with_port(url: &str) -> Option<String> {
    let (scheme, host, rest) = split(url)?;
    let port = if scheme == "https" { 443 } else { 80 };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    (!has_port).then(|| format!("{scheme}://{host}:{port}{rest}"))
}
