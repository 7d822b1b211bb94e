//! Where outbound requests may go: origins that a grant names, and addresses that are not private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// Whether a grant names this origin: exactly, as a subdomain of `https://*.example.com`, or as `*`.
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
        None => host == origin.host,
    }
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
    let address = canonical(address);
    if is_metadata(address) {
        return Err(Refused::Metadata);
    }
    if !private_allowed && is_special(address) {
        return Err(Refused::Private);
    }
    Ok(())
}

/// The IPv4 address that an IPv6 one stands for: mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let v4 =
        |high: u16, low: u16| IpAddr::V4(Ipv4Addr::new((high >> 8) as u8, high as u8, (low >> 8) as u8, low as u8));
    match s {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if high != 0 => v4(high, low),
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        // AWS, Google, Azure, DigitalOcean; Alibaba; Oracle's second.
        IpAddr::V4(v4) => {
            [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)]
                .contains(&v4)
                || v4 == Ipv4Addr::new(169, 254, 170, 2)
        }
        IpAddr::V6(v6) => v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    }
}

/// Addresses that are not of the public internet (IANA's special-purpose registries).
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19))
        }
        IpAddr::V6(v6) => {
            let s = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (s[0] & 0xfe00) == 0xfc00
                || (s[0] & 0xffc0) == 0xfe80
                || (s[0] & 0xffc0) == 0xfec0
                || (s[0] == 0x2001 && s[1] == 0xdb8)
                || (s[0] == 0x2001 && s[1] == 0)
                || s[0] == 0x100
                || (s[0] == 0x64 && s[1] == 0xff9b)
        }
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
        for metadata in
            ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200"]
        {
            assert_eq!(check(metadata.parse().unwrap(), true), Err(Refused::Metadata), "{metadata}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert_eq!(check(public.parse().unwrap(), false), Ok(()), "{public}");
        }
    }
}
