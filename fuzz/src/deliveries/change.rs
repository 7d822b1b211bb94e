//! What is changed of a delivery, as the input says.

use std::collections::BTreeSet;

use camshaft_model::seams::WebhookRequest;
use camshaft_model::time::Timestamp;
use percent_encoding::percent_decode;
use serde_json::Value;

use super::Adapter;
use super::case::Case;
use super::config;

/// Most changes of one delivery.
const CHANGES_MAX: usize = 4;
/// Longest run of bytes that is put in.
const BYTES_MAX: usize = 64;
/// Headers that are signed with the body, wherever they are sent.
const SIGNED_HEADERS: [&str; 8] = [
    "webhook-id",
    "webhook-timestamp",
    "svix-id",
    "svix-timestamp",
    "X-Slack-Request-Timestamp",
    "x-zm-request-timestamp",
    "X-Signature-Timestamp",
    "X-Zendesk-Webhook-Signature-Timestamp",
];
/// Adapters that take what is fresh alone.
const FRESH: [&str; 8] = ["discord", "hubspot", "linear", "slack", "standard-webhooks", "stripe", "zendesk", "zoom"];
/// Adapters whose vendors sign the URL.
const URL_SIGNED: [&str; 2] = ["square", "twilio"];
const DAY_MS: u64 = 86_400_000;
/// Texts that readers stumble over.
const TEXTS: [&str; 14] =
    ["", " ", "\0", ",", "=", "{", "\"", "\u{feff}", "-1", "18446744073709551616", "1e999", "v1,", "sha256=", "true"];

/// The input, byte by byte; zeros where it is at its end.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let number = usize::from(self.next()) << 8 | usize::from(self.next());
        number % bound.max(1)
    }

    pub(crate) fn one_of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.below(all.len())]
    }

    /// Some of the input itself.
    fn some(&mut self) -> &'a [u8] {
        let length = self.below(BYTES_MAX).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    pub(crate) fn text(&mut self) -> String {
        match self.next() % 4 {
            0 => (*self.one_of(&TEXTS)).to_owned(),
            _ => String::from_utf8_lossy(self.some()).into_owned(),
        }
    }
}

/// A form's fields as Twilio signs them: sorted, the same once, one after the other.
fn fields(form: &[u8]) -> Vec<u8> {
    let decoded = |text: &[u8]| {
        let spaced: Vec<_> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect::<Vec<_>>()
    };
    let pairs = form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    let fields: BTreeSet<_> = pairs
        .map(|pair| {
            let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len()));
            (decoded(name), decoded(value.get(1..).unwrap_or_default()))
        })
        .collect();
    fields.into_iter().flat_map(|(name, value)| [name, value].concat()).collect()
}

/// A delivery that was changed.
pub(crate) struct Changed {
    pub(crate) request: WebhookRequest,
    pub(crate) config: Value,
    pub(crate) secrets: Vec<(String, Vec<String>)>,
    /// What is not as it was signed.
    pub(crate) forged: Option<&'static str>,
}

/// The case with up to four changes.
pub(crate) fn change(adapter: &Adapter, case: &Case, all: &[Adapter], input: &mut Bytes<'_>) -> Changed {
    let mut changed = Changed {
        request: case.request.clone(),
        config: case.config.clone(),
        secrets: case.secrets.clone(),
        forged: None,
    };
    for _ in 0..=input.next() as usize % CHANGES_MAX {
        match input.next() % 8 {
            0..=2 => changed.body(all, input),
            3 | 4 => changed.header(input),
            5 => changed.around(input),
            6 => changed.time(input),
            _ => changed.integration(adapter, input),
        }
    }
    // What is configured says how the generic one verifies; nobody guesses a key.
    let same_rules = changed.config == case.config || adapter.name.as_str() != "generic";
    changed.forged = changed.forged_part(adapter, case).filter(|_| same_rules);
    changed
}

impl Changed {
    fn body(&mut self, all: &[Adapter], input: &mut Bytes<'_>) {
        let mut body = self.request.body.to_vec();
        let at = input.below(body.len() + 1);
        let end = (at + input.below(BYTES_MAX)).min(body.len());
        match input.next() % 7 {
            0 if at < body.len() => body[at] ^= 1 << (input.next() % 8),
            1 => drop(body.drain(at..end)),
            2 => drop(body.splice(at..at, input.some().iter().copied())),
            3 => drop(body.splice(at..end, input.text().into_bytes())),
            4 => body.truncate(at),
            // Somebody else's delivery.
            5 => {
                let other = input.one_of(all);
                body = input.one_of(&other.cases).request.body.to_vec();
            }
            // A value that is nested deeply, in front of the one that is there.
            _ => {
                let depth = input.below(300);
                let value = format!("{}0{},\"x\":", "[".repeat(depth), "]".repeat(depth));
                let colons: Vec<_> = (0..body.len()).filter(|at| body[*at] == b':').collect();
                if !colons.is_empty() {
                    let behind = input.one_of(&colons) + 1;
                    body.splice(behind..behind, value.into_bytes());
                }
            }
        }
        self.request.body = body.into();
    }

    fn header(&mut self, input: &mut Bytes<'_>) {
        let headers = &mut self.request.headers;
        if headers.is_empty() || input.next().is_multiple_of(8) {
            let names = ["content-encoding", "content-type", "authorization", "x-forwarded-host", "webhook-signature"];
            let values = ["gzip", "deflate", "br", "application/x-www-form-urlencoded", "Basic Og=="];
            headers.push(((*input.one_of(&names)).to_owned(), input.one_of(&values).as_bytes().to_vec()));
            return;
        }
        let at = input.below(headers.len());
        match input.next() % 6 {
            0 => drop(headers.remove(at)),
            1 => headers.push(headers[at].clone()),
            2 => headers[at].1 = input.text().into_bytes(),
            3 => headers[at].1 = input.some().to_vec(),
            4 => headers[at].0 = headers[at].0.to_ascii_uppercase(),
            _ if headers[at].1.is_empty() => {}
            _ => {
                let byte = input.below(headers[at].1.len());
                headers[at].1[byte] ^= 1 << (input.next() % 8);
            }
        }
    }

    fn around(&mut self, input: &mut Bytes<'_>) {
        match input.next() % 4 {
            0 => self.request.query = input.text(),
            1 => self.request.query = format!("{}&{}", self.request.query, input.text()),
            2 => self.request.public_url = format!("https://camshaft.example/{}", input.text()),
            _ => self.request.method = (*input.one_of(&["GET", "PUT", "HEAD", "OPTIONS", "post", ""])).to_owned(),
        }
    }

    fn time(&mut self, input: &mut Bytes<'_>) {
        let ms = self.request.received_at.as_millis();
        let ms = match input.next() % 5 {
            0 => ms.saturating_add(DAY_MS),
            1 => ms.saturating_sub(DAY_MS),
            2 => ms.saturating_add(input.below(1 << 16) as u64),
            3 => 0,
            _ => u64::MAX / 1000,
        };
        self.request.received_at = Timestamp::from_millis(ms);
    }

    fn integration(&mut self, adapter: &Adapter, input: &mut Bytes<'_>) {
        match input.next() % 4 {
            0 => self.secrets.clear(),
            1 => self.secrets.iter_mut().for_each(|(_, values)| *values = vec![input.text()]),
            2 => self.secrets.iter_mut().for_each(|(_, values)| values.push(input.text())),
            _ => self.config = config::after(&adapter.config_schema, input),
        }
    }

    /// What of the delivery is not as its vendor signed it.
    fn forged_part(&self, adapter: &Adapter, case: &Case) -> Option<&'static str> {
        let (now, then) = (&self.request, &case.request);
        // A form is signed by its fields, and the same fields can be written in several ways.
        let is_form = adapter.name.as_str() == "twilio" && !then.query.contains("bodySHA256");
        if if is_form { fields(&now.body) != fields(&then.body) } else { now.body != then.body } {
            return Some("another body");
        }
        let is_versioned = adapter.name.as_str() == "hubspot" && case.header("X-HubSpot-Signature-v3");
        if (is_versioned || URL_SIGNED.contains(&adapter.name.as_str())) && now.public_url != then.public_url {
            return Some("another URL");
        }
        let values = |request: &WebhookRequest, name: &str| {
            let values = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            values.map(|(_, value)| value.trim_ascii().to_vec()).collect::<Vec<_>>()
        };
        let of_others = |name: &str| adapter.name.as_str() == "generic" && values(then, name).is_empty();
        let header = SIGNED_HEADERS.iter().find(|name| !of_others(name) && values(now, name) != values(then, name));
        // A header that the vendor never sends proves nothing, and takes nothing away.
        if header.is_some_and(|name| case.header(name)) {
            return Some("another signed header");
        }
        let apart = now.received_at.as_millis().abs_diff(then.received_at.as_millis());
        // HubSpot's older signatures have no time in them.
        let is_timed = adapter.name.as_str() != "hubspot" || case.header("X-HubSpot-Signature-v3");
        (FRESH.contains(&adapter.name.as_str()) && is_timed && apart >= DAY_MS).then_some("a time that is a day off")
    }
}
