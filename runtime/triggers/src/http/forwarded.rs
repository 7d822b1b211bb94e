//! How the outside sees a request: the URL that was called and who called it. Proxies tell in `Forwarded` (RFC 7239) or
//! `X-Forwarded-*`; only those that are trusted are believed, since anybody can send such headers.
//!
//! A proxy writes one of the two, and may pass on what its client put into the other. So where both stand in a request, only what they
//! agree on is believed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use super::refused::Refused;
use super::request;

/// A network of peers: `10.0.0.0/8`, `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no IP address or network: write it like 192.0.2.1 or 10.0.0.0/8")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        match prefix.unwrap_or(widest) {
            prefix if prefix <= widest => Ok(Self { address, prefix }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address is the same when a socket shows it as IPv6 (`::ffff:10.0.0.1`).
    pub fn contains(&self, address: IpAddr) -> bool {
        let shared = match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
            (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
            _ => return false,
        };
        shared >= u32::from(self.prefix)
    }
}

/// How the outside sees a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The client's address, where known.
    pub(crate) remote: Option<IpAddr>,
    /// The URL that was called, with its query.
    pub(crate) url: String,
}

/// One hop, as a proxy tells of it.
#[derive(Debug, Default)]
struct Hop {
    from: Option<IpAddr>,
    scheme: Option<String>,
    host: Option<String>,
}

/// How the outside sees a request that came from `peer`.
pub(crate) fn outside(
    uri: &Uri,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    public_url: Option<&str>,
    trusted: &[Network],
) -> Result<Outside, Refused> {
    let peer = peer.map(|peer| peer.to_canonical());
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let told = match peer {
        Some(peer) if is_trusted(peer) => told(headers, is_trusted),
        _ => Hop::default(),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let url = match public_url {
        Some(base) => format!("{}{path}", base.trim_end_matches('/')),
        None => {
            let scheme = told.scheme.as_deref().or(uri.scheme_str()).unwrap_or("http");
            let host = match (told.host, uri.authority()) {
                (Some(host), _) => host,
                (None, Some(authority)) => authority.to_string(),
                (None, None) => request::text(headers, &header::HOST)?.unwrap_or("localhost").to_owned(),
            };
            format!("{scheme}://{host}{path}")
        }
    };
    Ok(Outside { remote: told.from.or(peer), url })
}

/// The address of the client that sent a request, which came from `peer`; where known.
pub fn client(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &[Network]) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if is_trusted(peer) { told(headers, is_trusted).from.or(Some(peer)) } else { Some(peer) }
}

/// What trusted proxies tell: of the nearest client that is no trusted proxy itself.
fn told(headers: &HeaderMap, is_trusted: impl Fn(IpAddr) -> bool) -> Hop {
    // A byte that is no text must not hide what stands beside it.
    let line = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let lines = |name: &str| headers.get_all(name).iter().map(line).collect::<Vec<_>>();
    let (standard, usual) = (standard(&lines("forwarded")), usual(lines));
    match (standard, usual) {
        (None, None) => Hop::default(),
        (Some(hops), None) | (None, Some(hops)) => nearest_stranger(hops, is_trusted),
        (Some(standard), Some(usual)) => {
            let (one, other) = (nearest_stranger(standard, &is_trusted), nearest_stranger(usual, &is_trusted));
            Hop {
                from: one.from.filter(|from| other.from == Some(*from)),
                scheme: one.scheme.filter(|scheme| other.scheme.as_ref() == Some(scheme)),
                host: one.host.filter(|host| other.host.as_ref() == Some(host)),
            }
        }
    }
}

/// From the nearest hop outwards; what stands further out than the first stranger is the stranger's own word.
fn nearest_stranger(mut hops: Vec<Hop>, is_trusted: impl Fn(IpAddr) -> bool) -> Hop {
    let mut found = hops.pop().unwrap_or_default();
    while found.from.is_some_and(&is_trusted) {
        match hops.pop() {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

/// The hops of `Forwarded`, the nearest last; none where there is no such header.
fn standard(lines: &[String]) -> Option<Vec<Hop>> {
    let elements = lines.iter().flat_map(|line| {
        // Somebody left a quote open: it must not swallow what the proxies behind wrote into the same line.
        let is_whole = line.matches('"').count() % 2 == 0;
        if is_whole { split(line, ',') } else { line.split(',').collect() }
    });
    let hops: Vec<_> = elements.filter(|element| !element.trim().is_empty()).map(hop).collect();
    (!hops.is_empty()).then_some(hops)
}

/// The hops of `X-Forwarded-*`, the nearest last; none where there is no such header. Where there is a scheme or a host for each address,
/// each belongs to its own; of a list of another length only the last is a proxy's own word for sure.
fn usual(lines: impl Fn(&str) -> Vec<String>) -> Option<Vec<Hop>> {
    let list = |name: &str| -> Vec<String> {
        let lines = lines(name);
        let values = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
    };
    let (from, scheme, host) = (list("x-forwarded-for"), list("x-forwarded-proto"), list("x-forwarded-host"));
    let count = from.len().max(usize::from(!scheme.is_empty() || !host.is_empty()));
    let of = |list: &[String], behind: usize| {
        let behind = if list.len() == from.len() { behind } else { 0 };
        list.len().checked_sub(1 + behind).map(|place| list[place].clone())
    };
    let hop = |behind: usize| Hop {
        from: from.len().checked_sub(1 + behind).and_then(|place| address(&from[place])),
        scheme: of(&scheme, behind),
        host: of(&host, behind),
    };
    (count > 0).then(|| (0..count).rev().map(hop).collect())
}

/// `for=192.0.2.60;proto=https;host=example.com`
fn hop(element: &str) -> Hop {
    let mut hop = Hop::default();
    for pair in split(element, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.from = address(value),
            "proto" => hop.scheme = Some(value.to_owned()),
            "host" => hop.host = Some(value.to_owned()),
            _ => {}
        }
    }
    hop
}

/// The pieces between separators that do not stand within quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// `192.0.2.60`, `192.0.2.60:4711`, `[2001:db8::17]:4711`, `2001:db8::17`; none for `unknown` and the like.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if text.matches(':').count() == 1 => text.split(':').next().unwrap_or_default(),
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn seen(peer: &str, trusted: &[&str], pairs: &[(&'static str, &str)]) -> (Option<String>, String) {
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let uri: Uri = "/v1/webhooks/github?a=1".parse().unwrap();
        let outside = outside(&uri, &headers(pairs), peer.parse().ok(), None, &trusted).unwrap();
        (outside.remote.map(|address| address.to_string()), outside.url)
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (network, address, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "192.0.2.1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), holds, "{network} {address}");
        }
        for bad in ["", "10.0.0.0/33", "::1/129", "10.0.0.0/", "host", "10.0.0.0/-1"] {
            let error = bad.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }

    #[test]
    fn strangers_are_not_believed() {
        let pairs = [("host", "a.example"), ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")];
        let told = (Some("203.0.113.9".to_owned()), "http://a.example/v1/webhooks/github?a=1".to_owned());
        assert_eq!(seen("203.0.113.9", &["10.0.0.0/8"], &pairs), told);
    }

    #[test]
    fn a_trusted_proxy_is_believed_up_to_the_first_stranger() {
        let pairs = [
            ("host", "inner:8080"),
            ("x-forwarded-for", "1.1.1.1, 192.0.2.7"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "hooks.example"),
        ];
        let told = (Some("192.0.2.7".to_owned()), "https://hooks.example/v1/webhooks/github?a=1".to_owned());
        assert_eq!(seen("10.0.0.1", &["10.0.0.0/8"], &pairs), told);
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes_and_ports() {
        let value = r#"for=unknown;host=evil, for="[2001:db8::17]:47";proto=https;host="h.example, x", for=10.0.0.3"#;
        let (remote, url) = seen("10.0.0.1", &["10.0.0.0/8"], &[("forwarded", value)]);
        assert_eq!(remote.as_deref(), Some("2001:db8::17"));
        assert!(url.starts_with("https://h.example, x/v1/"), "{url}");
    }

    #[test]
    fn what_a_client_writes_into_the_headers_of_its_proxy_is_not_believed() {
        let url = |host: &str| format!("{host}/v1/webhooks/github?a=1");
        let real = (Some("203.0.113.9".to_owned()), url("http://real.example"));
        for (forged, what) in [
            (r#"host=evil.example;proto=https;for=", for=203.0.113.9;host=real.example"#, "an open quote in its line"),
            (r#"for="x";host=evil.example, for="203.0.113.9:47";host="real.example""#, "a hop of its own"),
            (r#"host=evil;for=", for="203.0.113.9:47";host="real.example""#, "an open quote before quotes"),
        ] {
            assert_eq!(seen("10.0.0.1", &["10.0.0.0/8"], &[("forwarded", forged)]), real, "{what}");
        }
        let open = [
            ("forwarded", r#"host=evil.example;proto=https;for=""#),
            ("forwarded", "for=203.0.113.9;host=real.example"),
        ];
        assert_eq!(seen("10.0.0.1", &["10.0.0.0/8"], &open), real);
        let two = [
            ("x-forwarded-for", "203.0.113.9, 10.0.0.2"),
            ("x-forwarded-host", "evil.example, real.example, inner.example"),
        ];
        let inner = (Some("203.0.113.9".to_owned()), url("http://inner.example"));
        assert_eq!(seen("10.0.0.1", &["10.0.0.0/8"], &two), inner, "the nearest proxy's own word");
        let first = [
            ("x-forwarded-for", "1.1.1.1, 203.0.113.9"),
            ("x-forwarded-host", "evil.example, real.example"),
            ("x-forwarded-proto", "https, http"),
        ];
        assert_eq!(seen("10.0.0.1", &["10.0.0.0/8"], &first), real);
    }

    #[test]
    fn of_two_headers_that_differ_neither_is_believed() {
        let usual = [("host", "inner"), ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-host", "real.example")];
        let told =
            |forwarded: &str| seen("10.0.0.1", &["10.0.0.0/8"], &[&usual[..], &[("forwarded", forwarded)]].concat());
        assert_eq!(
            told("for=203.0.113.9;host=real.example;proto=https"),
            (Some("203.0.113.9".to_owned()), "http://real.example/v1/webhooks/github?a=1".to_owned()),
            "who says what the other does not say is not believed either"
        );
        let no_text = HeaderValue::from_bytes(b"\xff, 203.0.113.9").unwrap();
        let mut map = headers(&[("host", "inner"), ("forwarded", "for=1.2.3.4;host=evil.example")]);
        map.insert("x-forwarded-for", no_text);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(client(&map, "10.0.0.1".parse().ok(), &trusted), "10.0.0.1".parse().ok());
        assert_eq!(
            told("for=1.2.3.4;host=evil.example"),
            (Some("10.0.0.1".to_owned()), "http://inner/v1/webhooks/github?a=1".to_owned())
        );
    }

    #[test]
    fn a_public_url_that_is_set_counts_whatever_the_request_says() {
        let uri: Uri = "/v1/webhooks/github?a=1".parse().unwrap();
        let outside = outside(&uri, &headers(&[("host", "inner")]), None, Some("https://h.example/"), &[]).unwrap();
        assert_eq!(outside.url, "https://h.example/v1/webhooks/github?a=1");
    }
}
