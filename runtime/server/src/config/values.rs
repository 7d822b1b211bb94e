//! Values as people write them: addresses, durations, sizes. Their errors show the value.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use bytesize::ByteSize;
use camshaft_model::limits::{self, Budget};
use camshaft_triggers::http::Network;
use serde::Deserialize;

pub(super) fn listen<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let refused = |why: &str| {
        serde::de::Error::custom(format!("`{text}` is no address and port such as 127.0.0.1:7400 or localhost:0{why}"))
    };
    if let Ok(address) = text.trim().parse() {
        return Ok(address);
    }
    let found: Vec<_> = text.trim().to_socket_addrs().map_err(|error| refused(&format!(": {error}")))?.collect();
    // A name may mean both; what calls it by number mostly writes the older form.
    found.iter().find(|address| address.is_ipv4()).or(found.first()).copied().ok_or_else(|| refused(""))
}

pub(super) fn public_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let text = text.trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    let parsed: Result<http::Uri, _> = text.parse();
    match parsed {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none() => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(serde::de::Error::custom(format!("`{text}` is no URL such as https://camshaft.example.com"))),
    }
}

pub(super) fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

pub(super) fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?)
}

fn parse_duration<E: serde::de::Error>(text: &str) -> Result<Duration, E> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(E::custom(format!("`{text}` is no duration such as 50s or 1m30s"))),
    }
}

pub(super) fn age<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    match String::deserialize(deserializer)?.trim() {
        "" => Ok(None),
        text => parse_duration(text).map(Some),
    }
}

pub(super) fn size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match String::deserialize(deserializer)?.trim() {
        "" => Ok(None),
        text => match text.parse::<ByteSize>() {
            Ok(size) if size.as_u64() > 0 => Ok(Some(size.as_u64())),
            _ => Err(serde::de::Error::custom(format!("`{text}` is no size such as 10GiB or 500MB"))),
        },
    }
}

pub(super) fn budget<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Budget, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sandbox {
        memory_bytes: u64,
        #[serde(deserialize_with = "duration")]
        cpu: Duration,
        #[serde(deserialize_with = "duration")]
        wall: Duration,
        input_bytes: usize,
        output_bytes: usize,
        log_bytes: usize,
        requests: u32,
        response_bytes: u64,
    }
    let Sandbox { memory_bytes, cpu, wall, input_bytes, output_bytes, log_bytes, requests, response_bytes } =
        Sandbox::deserialize(deserializer)?;
    if output_bytes > limits::OUTPUT_BYTES_MAX {
        let most = limits::OUTPUT_BYTES_MAX;
        return Err(serde::de::Error::custom(format!("output_bytes is {output_bytes}, and at most {most}")));
    }
    Ok(Budget { memory_bytes, cpu, wall, input_bytes, output_bytes, log_bytes, requests, response_bytes })
}
