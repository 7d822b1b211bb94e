//! Where outbound requests may go: origins that a grant names, and addresses that are not private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use camshaft_model::plugin::Grant;

/// A request's destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    /// `http` or `https`
    pub(crate) scheme: &'a str,
    /// Lower case, without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// Port of a scheme where none is named.
pub(crate) fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

/// Whether a grant names this origin: exactly, as a subdomain of `https://*.example.com`, with any one label in the place of
/// `https://api.*.example.com`, or as `*`.
pub(crate) fn granted(grant: &Grant, origin: &Origin<'_>) -> bool {
    grant.hosts.iter().any(|pattern| matches(pattern, origin))
}

fn matches(pattern: &str, origin: &Origin<'_>) -> bool {
    if pattern == "*" {
        return true;
    }
    // A bare host means https.
    let (scheme, authority) = pattern.split_once("://").unwrap_or(("https", pattern));
    let authority = authority.trim_end_matches('/').to_ascii_lowercase();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse() {
            Ok(port) => (host.to_owned(), port),
            Err(_) => return false,
        },
        _ => (authority.clone(), default_port(scheme)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if !scheme.eq_ignore_ascii_case(origin.scheme) || port != origin.port {
        return false;
    }
    match host.strip_prefix("*.") {
        Some(parent) => origin.host.strip_suffix(parent).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')),
        None => fits(host, origin.host),
    }
}

/// Whether a host has the labels of a pattern, in which `*` is any one label.
fn fits(pattern: &str, host: &str) -> bool {
    let mut labels = host.split('.');
    let same = |wanted: &str, label: &str| if wanted == "*" { !label.is_empty() } else { wanted == label };
    pattern.split('.').all(|wanted| labels.next().is_some_and(|label| same(wanted, label))) && labels.next().is_none()
}

/// Why an address is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A private, loopback, link-local or otherwise special address; a grant may allow these.
    Private,
    /// A cloud's metadata service; nothing allows it.
    Metadata,
}

/// Whether an address may be reached.
pub(crate) fn check(address: IpAddr, private_allowed: bool) -> Result<(), Refused> {
    let inner = canonical(address);
    if is_metadata(inner) {
        return Err(Refused::Metadata);
    }
    if !private_allowed && (is_special(inner) || is_tunnel(address)) {
        return Err(Refused::Private);
    }
    Ok(())
}

/// Of the addresses of a name, those that may be reached; where none may, one of the others and why.
pub(crate) fn reachable(
    found: impl IntoIterator<Item = SocketAddr>,
    private_allowed: bool,
) -> Result<Vec<SocketAddr>, Option<(IpAddr, Refused)>> {
    let (mut allowed, mut refused) = (Vec::new(), None);
    for address in found {
        match check(address.ip(), private_allowed) {
            Ok(()) => allowed.push(address),
            Err(why) => refused = Some((address.ip(), why)),
        }
    }
    if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
}

/// The metadata services of clouds: whoever reaches one is the machine. Some have addresses that are not private.
const METADATA_V4: [Ipv4Addr; 6] = [
    // AWS, Google, Azure, DigitalOcean, Hetzner, OpenStack and others.
    Ipv4Addr::new(169, 254, 169, 254),
    // Credentials of containers and of pods at AWS.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Alibaba.
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure's host.
    Ipv4Addr::new(168, 63, 129, 16),
    // Oracle's older one.
    Ipv4Addr::new(192, 0, 0, 192),
];
const METADATA_V6: [Ipv6Addr; 4] = [
    // AWS, and the credentials of pods there.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // Scaleway.
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// The IPv4 address that an IPv6 one stands for, where it stands for nothing else: mapped and compatible (RFC 4291),
/// translated (RFC 7915), NAT64 and its local use (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 1, _, _, _, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo turns its client's address over.
        [0x2001, 0, _, _, _, _, high, low] => v4(!high, !low),
        _ => address,
    }
}

/// An address that goes through a gateway or tunnel of a network's own, wherever it ends.
fn is_tunnel(address: IpAddr) -> bool {
    let IpAddr::V6(v6) = address else { return false };
    matches!(v6.segments(), [0x64, 0xff9b, 1, ..] | [0x2002, ..] | [0x2001, 0, ..])
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => METADATA_V6.contains(&v6),
    }
}

/// Addresses that are not of the public internet (IANA's special-purpose registries).
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            // This host, loopback, private, carriers' own, link-local.
            [0 | 127 | 10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [169, 254, ..] => true,
            // Reserved, documentation, benchmarks; multicast and beyond.
            [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => true,
            [224..=255, ..] => true,
            _ => false,
        },
        IpAddr::V6(v6) => match v6.segments() {
            // Protocol assignments and documentation, inside what is given out globally.
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => true,
            [0x2000..=0x3fff, ..] => false,
            // Loopback, unique-local, link-local, site-local, multicast, and all that nobody was given.
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_name_origins_exactly() {
        let grant =
            |hosts: &[&str]| Grant { hosts: hosts.iter().map(|h| (*h).to_owned()).collect(), ..Grant::default() };
        let origin = |scheme, host, port| Origin { scheme, host, port };
        for (pattern, o, expected) in [
            ("https://api.example.com", origin("https", "api.example.com", 443), true),
            ("api.example.com", origin("https", "api.example.com", 443), true),
            ("https://API.example.com/", origin("https", "api.example.com", 443), true),
            ("https://api.example.com", origin("http", "api.example.com", 80), false),
            ("https://api.example.com", origin("https", "api.example.com", 8443), false),
            ("https://api.example.com", origin("https", "evil-api.example.com", 443), false),
            ("https://api.example.com", origin("https", "api.example.com.evil.org", 443), false),
            ("https://*.example.com", origin("https", "a.b.example.com", 443), true),
            ("https://*.example.com", origin("https", "example.com", 443), false),
            ("https://*.example.com", origin("https", "evilexample.com", 443), false),
            ("https://sns.*.amazonaws.com", origin("https", "sns.eu-west-1.amazonaws.com", 443), true),
            ("https://sns.*.amazonaws.com", origin("https", "sns.a.b.amazonaws.com", 443), false),
            ("https://sns.*.amazonaws.com", origin("https", "sns..amazonaws.com", 443), false),
            ("https://sns.*.amazonaws.com", origin("https", "sns.amazonaws.com", 443), false),
            ("https://sns.*.amazonaws.com", origin("https", "sns.eu-west-1.amazonaws.com.evil.org", 443), false),
            ("https://sns.*.amazonaws.com", origin("https", "evil.sns.eu-west-1.amazonaws.com", 443), false),
            ("https://sns.*.amazonaws.com", origin("https", "s3.eu-west-1.amazonaws.com", 443), false),
            ("https://sns.*.amazonaws.com", origin("http", "sns.eu-west-1.amazonaws.com", 80), false),
            ("http://127.0.0.1:9000", origin("http", "127.0.0.1", 9000), true),
            ("http://[::1]:9000", origin("http", "::1", 9000), true),
            ("*", origin("http", "anything.org", 1234), true),
            ("http://a:port", origin("http", "a", 80), false),
        ] {
            assert_eq!(granted(&grant(&[pattern]), &o), expected, "{pattern} {o:?}");
        }
        assert!(!granted(&grant(&[]), &origin("https", "example.com", 443)));
    }

    #[test]
    fn special_addresses_are_refused_in_every_disguise() {
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "::127.0.0.1",
        ] {
            let address = private.parse().unwrap();
            assert_eq!(check(address, false), Err(Refused::Private), "{private}");
            assert_eq!(check(address, true), Ok(()), "{private}");
        }
        for metadata in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "169.254.170.2",
            "169.254.170.23",
            "192.0.0.192",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:42::42",
            "::169.254.169.254",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "2001:0:1:1:0:0:5601:5601",
            "0:0:0:0:ffff:0:169.254.169.254",
        ] {
            assert_eq!(check(metadata.parse().unwrap(), true), Err(Refused::Metadata), "{metadata}");
        }
        for public in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "168.63.129.17",
            "8.8.8.8",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(check(public.parse().unwrap(), false), Ok(()), "{public}");
        }
    }
}
