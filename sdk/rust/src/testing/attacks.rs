//! What every adapter has to withstand, whichever vendor it is for: one list of attacks, run over deliveries that the adapter has
//! signed as its vendor would.

use super::sent::Sign;
use super::{Host, Sent};
use crate::adapter::{self, Adapter, EventType, Integration, Named, Receipt, Rejection, Request, Secret};
use crate::random;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};
use std::io::Write;

/// When deliveries of the attacks are sent: 2026-01-01T00:00:00Z.
const SENT_MS: u64 = 1_767_225_600_000;
/// Made-up deliveries that are tried.
const ROUNDS: usize = 300;

/// A vendor, and which attacks its adapter has to withstand.
pub struct Vendor {
    receive: fn(&Request, Integration<String>) -> Result<Receipt, Rejection>,
    description: adapter::Description,
    sign: Sign,
    /// In place of `sign`, where only the vendor can.
    deliver: Option<fn(&Sent) -> Request>,
    config: Value,
    secret: &'static str,
    keys: [&'static str; 2],
    secret_of: fn(&str) -> String,
    proofs: &'static [&'static str],
    parameters: &'static [&'static str],
    tolerance_s: Option<u64>,
    signs_body: bool,
    by_post: bool,
    event: Option<&'static str>,
}

impl Vendor {
    /// A vendor that signs the body with the secret `signing_secret`; the adapter makes its deliveries.
    pub fn new<A: Adapter + Named>() -> Self {
        Self {
            receive: adapter::receive::<A>,
            description: A::describe(),
            sign: adapter::sign::<A>,
            deliver: None,
            config: json!({}),
            secret: Secret::SIGNING,
            keys: ["the-right-key", "another-key"],
            secret_of: str::to_owned,
            proofs: &[],
            parameters: &[],
            tolerance_s: None,
            signs_body: true,
            by_post: true,
            event: None,
        }
    }

    /// Makes the vendor's deliveries, where the adapter cannot: the vendor keeps what it signs with.
    pub fn delivered_by(self, deliver: fn(&Sent) -> Request) -> Self {
        Self { deliver: Some(deliver), ..self }
    }

    /// The headers that prove who calls: signature, timestamp, token.
    pub fn proofs(self, headers: &'static [&'static str]) -> Self {
        Self { proofs: headers, ..self }
    }

    /// The parameters of the URL that prove who calls.
    pub fn parameters(self, names: &'static [&'static str]) -> Self {
        Self { parameters: names, ..self }
    }

    /// How old, or early, a delivery may be, in seconds.
    pub fn tolerance(self, seconds: u64) -> Self {
        Self { tolerance_s: Some(seconds), ..self }
    }

    /// The integration's configuration.
    pub fn config(self, config: Value) -> Self {
        Self { config, ..self }
    }

    /// Deliveries come by any method.
    pub fn any_method(self) -> Self {
        Self { by_post: false, ..self }
    }

    /// Attacks deliveries of this event in place of the first, where they are signed in another way.
    pub fn by(self, event: &'static str) -> Self {
        Self { event: Some(event), ..self }
    }

    /// Another secret than `signing_secret`, that does not cover the body.
    pub fn token(self, secret: &'static str) -> Self {
        Self { secret, signs_body: false, ..self }
    }

    /// A right and a wrong key, where they have a form of their own.
    pub fn keys(self, right: &'static str, wrong: &'static str) -> Self {
        Self { keys: [right, wrong], ..self }
    }

    /// What the integration holds of a key, where that is not the key itself.
    pub fn secret_of(self, secret_of: fn(&str) -> String) -> Self {
        Self { secret_of, ..self }
    }

    /// Runs every attack.
    ///
    /// # Panics
    /// With the first that the adapter does not withstand.
    pub fn withstands(&self) {
        self.describes_what_it_takes();
        self.signs_with_the_first_key();
        self.takes_what_is_sent_again_for_another();
        self.takes_any_of_its_keys_and_no_other();
        self.takes_no_changed_delivery();
        self.takes_none_but_fresh();
        self.takes_no_broken_proof();
        self.takes_no_broken_parameter();
        self.takes_odd_bodies_for_what_they_are();
        self.takes_a_compressed_body_as_it_was_signed();
        self.takes_nothing_that_is_made_up();
    }

    /// Samples are what the adapter would take, under the name that it says.
    fn describes_what_it_takes(&self) {
        assert!(self.description.docs.is_some(), "the description has no link to the vendor's documentation");
        assert!(
            self.description.secrets.iter().any(|secret| secret.name == self.secret),
            "no secret `{}`",
            self.secret
        );
        assert!(!self.description.events.is_empty(), "the description has no events");
        for event in &self.description.events {
            let sample = event.sample.as_ref().unwrap_or_else(|| panic!("`{}` has no sample", event.name));
            let sent = self.sent(&event.name, sample.as_bytes(), self.keys[0]);
            let receipt = self.with(&[self.keys[0]], &self.deliver(&sent));
            let receipt =
                receipt.unwrap_or_else(|rejection| panic!("`{}`: its sample is refused: {rejection}", event.name));
            let named = receipt.events.iter().any(|found| found.kind == event.name);
            assert!(named, "`{}`: its sample is taken as {:?}", event.name, receipt.events);
        }
    }

    fn signs_with_the_first_key(&self) {
        if self.deliver.is_some() {
            return;
        }
        let [right, wrong] = self.keys;
        let signed = |keys: Vec<String>| self.first().signed_by(self.sign, Sent::ID, self.integration(keys));
        let held = [right, wrong].map(|key| (self.secret_of)(key));
        let delivery = signed(held.to_vec()).unwrap_or_else(|rejection| panic!("two keys: {rejection}"));
        assert!(self.with(&[right], &delivery).is_ok(), "signed with the first of two keys");
        self.refused("signed with the first of two keys, and verified with the second", self.with(&[wrong], &delivery));
        self.refused("a sample without a key", signed(Vec::new()).map(|_| Receipt::default()));
    }

    /// Who tries an integration out twice starts something twice, as the vendor's next delivery would.
    fn takes_what_is_sent_again_for_another(&self) {
        if self.deliver.is_some() {
            return;
        }
        for event in &self.description.events {
            let sent = self.sent(&event.name, event.sample.as_deref().unwrap_or_default().as_bytes(), self.keys[0]);
            let ids = [Sent::ID, "another-1"].map(|id| {
                let key = (self.secret_of)(self.keys[0]);
                let signed = sent.signed_by(self.sign, id, self.integration(vec![key]));
                let receipt = signed.and_then(|delivery| self.right(&delivery));
                let receipt = receipt.unwrap_or_else(|rejection| panic!("`{}`: {rejection}", event.name));
                receipt.events.into_iter().filter_map(|event| event.id).collect::<Vec<_>>()
            });
            assert!(ids[0].iter().all(|id| !ids[1].contains(id)), "`{}` has the same id again: {ids:?}", event.name);
        }
    }

    fn takes_any_of_its_keys_and_no_other(&self) {
        let [right, wrong] = self.keys;
        let delivery = self.good();
        assert!(self.with(&[wrong, right], &delivery).is_ok(), "the second of two keys");
        assert!(self.with(&[right, wrong], &delivery).is_ok(), "the first of two keys");
        self.refused("a wrong key", self.with(&[wrong], &delivery));
        self.refused("no key", self.with(&[], &delivery));
        let integration = self.integration(vec![String::new()]);
        self.refused("an empty key", (self.receive)(&delivery, integration));
        let forged = self.deliver(&Sent { key: wrong, ..self.first() });
        self.refused("a delivery of somebody else", self.with(&[right], &forged));
    }

    fn takes_no_changed_delivery(&self) {
        if !self.signs_body {
            return;
        }
        let good = self.good();
        let length = good.body.len();
        for at in [0, 1, length / 3, length / 2, length - 2, length - 1] {
            for flip in [1, 0x20, 0x80] {
                let mut changed = good.clone();
                changed.body[at] ^= flip;
                self.refused(&format!("byte {at} changed"), self.right(&changed));
            }
        }
        let longer = [&good.body[..], b" "].concat();
        for body in [&good.body[..length - 1], &good.body[1..], &longer, b"", b"{}", b"&&&"] {
            self.refused("another body", self.right(&Request { body: body.to_vec(), ..good.clone() }));
        }
    }

    fn takes_none_but_fresh(&self) {
        let Some(tolerance) = self.tolerance_s else { return };
        let good = self.good();
        for (shift, fresh) in [(0, true), (tolerance, true), (tolerance + 1, false), (u64::MAX / 2000, false)] {
            for received_at_ms in [SENT_MS + shift * 1000, SENT_MS.saturating_sub(shift * 1000)] {
                let result = self.right(&Request { received_at_ms, ..good.clone() });
                assert_eq!(result.is_ok(), fresh, "received {shift} s apart: {result:?}");
                if !fresh {
                    self.refused("a stale delivery", result);
                }
            }
        }
    }

    fn takes_no_broken_proof(&self) {
        let good = self.good();
        for name in self.proofs {
            let value = good.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            let (_, value) = value.unwrap_or_else(|| panic!("deliveries have no header `{name}`")).clone();
            let with = |values: &[&[u8]]| {
                let mut request = good.clone();
                request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
                request.headers.extend(values.iter().map(|value| ((*name).to_owned(), value.to_vec())));
                self.right(&request)
            };
            assert!(with(&[&value]).is_ok(), "{name} in its place");
            self.refused(&format!("{name} missing"), with(&[]));
            for values in [[&value[..], &value[..]], [&b"x"[..], &value[..]], [&value[..], &b""[..]]] {
                assert!(matches!(with(&values), Err(Rejection::Malformed(_))), "{name} doubled: {:?}", with(&values));
            }
            for at in [0, value.len() / 2, value.len() - 1] {
                let mut changed = value.clone();
                changed[at] ^= 1;
                self.refused(&format!("{name} changed at {at}"), with(&[&changed]));
            }
            let (front, back) = value.split_at(value.len() / 2);
            for bad in [&b""[..], b" ", b"zz", b"=", b",", b"\xff\xfe", b"-1", b"99999999999999999999", front, back] {
                self.refused_any(&format!("{name}: {bad:?}"), with(&[bad]));
            }
        }
    }

    fn takes_no_broken_parameter(&self) {
        let good = self.good();
        for name in self.parameters {
            let value = Request::form_field(good.query.as_bytes(), name);
            let value = value.unwrap_or_else(|| panic!("deliveries have no parameter `{name}`"));
            let with = |values: &[&[u8]]| {
                let others: Vec<_> =
                    good.query.split('&').filter(|pair| pair.split('=').next() != Some(*name)).collect();
                let pair = |value: &&[u8]| format!("{name}={}", percent_encode(value, NON_ALPHANUMERIC));
                let query =
                    others.into_iter().map(str::to_owned).chain(values.iter().map(pair)).collect::<Vec<_>>().join("&");
                let url = good.public_url.split('?').next().unwrap_or_default();
                self.right(&Request { public_url: format!("{url}?{query}"), query, ..good.clone() })
            };
            assert!(with(&[&value]).is_ok(), "{name} in its place");
            self.refused(&format!("{name} missing"), with(&[]));
            for values in [[&value[..], &value[..]], [&b"x"[..], &value[..]], [&value[..], &b""[..]]] {
                assert!(matches!(with(&values), Err(Rejection::Malformed(_))), "{name} doubled: {:?}", with(&values));
            }
            let (front, back) = value.split_at(value.len() / 2);
            let longer = [&value[..], b" "].concat();
            for bad in [&b""[..], b" ", b"x", b"\xff\xfe", b"&", front, back, &longer] {
                self.refused_any(&format!("{name}: {bad:?}"), with(&[bad]));
            }
        }
    }

    /// Signed, and still not what the vendor sends: never `unauthorized`, which would send people to look for a wrong key.
    fn takes_odd_bodies_for_what_they_are(&self) {
        let sample = self.first().body;
        let marked = [b"\xef\xbb\xbf", sample].concat();
        for body in
            [&b""[..], b"{", b"[]", b"null", b"\"a\"", b"{\"type\":\"\xff\"}", b"\xff\xfe\x00", b"\r\n", &marked]
        {
            let sent = Sent { body, ..self.first() };
            let result = self.right(&self.deliver(&sent));
            let odd = matches!(result, Ok(_) | Err(Rejection::Malformed(_) | Rejection::Unsupported(_)));
            assert!(odd, "{body:?} that is signed: {result:?}");
        }
        let others: &[&str] = if self.by_post { &["GET", "PUT", "post", ""] } else { &[] };
        for method in others {
            let request = Request { method: (*method).to_owned(), ..self.good() };
            self.refused_any(&format!("method `{method}`"), self.right(&request));
        }
    }

    fn takes_a_compressed_body_as_it_was_signed(&self) {
        if !self.signs_body {
            return;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(self.first().body).expect("memory takes what is written");
        let body = encoder.finish().expect("memory takes what is written");
        let encoded = |mut request: Request| {
            request.headers.push(("Content-Encoding".to_owned(), b"gzip".to_vec()));
            self.right(&request)
        };
        let plain = self.right(&self.good()).map(|receipt| receipt.events.len());
        let result = encoded(self.deliver(&Sent { body: &body, ..self.first() }));
        assert_eq!(result.clone().map(|receipt| receipt.events.len()), plain, "compressed, then signed: {result:?}");
        self.refused("signed, then compressed", encoded(Request { body, ..self.good() }));
    }

    fn takes_nothing_that_is_made_up(&self) {
        Host::new().run(|| {
            for round in 0..ROUNDS {
                let mut request = self.good();
                let chance = random::bytes(8);
                for name in self.proofs {
                    request.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
                    let bytes = random::bytes(usize::from(chance[0] % 40));
                    let value = match chance[1] % 4 {
                        0 => bytes,
                        1 => hex::encode(bytes).into_bytes(),
                        2 => STANDARD.encode(bytes).into_bytes(),
                        _ => format!("v1={},sha256={}", hex::encode(&bytes), STANDARD.encode(&bytes)).into_bytes(),
                    };
                    request.headers.push(((*name).to_owned(), value));
                }
                if chance[2].is_multiple_of(2) {
                    request.body = random::bytes(usize::from(chance[3]));
                }
                if self.proofs.is_empty() {
                    request.query = hex::encode(&chance);
                    request.public_url = format!("https://camshaft.example/?{}", request.query);
                    request.body = chance;
                }
                self.refused_any(&format!("made-up delivery {round}"), self.right(&request));
            }
        });
    }

    fn first(&self) -> Sent<'_> {
        let named = |event: &&EventType| self.event.is_none_or(|name| event.name == name);
        let event = self.description.events.iter().find(named).expect("the description has the event");
        self.sent(&event.name, event.sample.as_deref().unwrap_or_default().as_bytes(), self.keys[0])
    }

    fn sent<'a>(&self, kind: &'a str, body: &'a [u8], key: &'a str) -> Sent<'a> {
        Sent { kind, body, key, at_ms: SENT_MS }
    }

    fn deliver(&self, sent: &Sent) -> Request {
        if let Some(deliver) = self.deliver {
            return deliver(sent);
        }
        let signed = sent.signed_by(self.sign, Sent::ID, self.integration(vec![(self.secret_of)(sent.key)]));
        signed.unwrap_or_else(|rejection| panic!("the adapter does not sign {:?}: {rejection}", sent.body))
    }

    fn good(&self) -> Request {
        self.deliver(&self.first())
    }

    fn integration(&self, values: Vec<String>) -> Integration<String> {
        let secrets = vec![(self.secret.to_owned(), values)];
        Integration { name: "test".to_owned(), config: self.config.to_string(), secrets }
    }

    fn with(&self, keys: &[&str], request: &Request) -> Result<Receipt, Rejection> {
        (self.receive)(request, self.integration(keys.iter().map(|key| (self.secret_of)(key)).collect()))
    }

    fn right(&self, request: &Request) -> Result<Receipt, Rejection> {
        self.with(&self.keys[..1], request)
    }

    fn refused(&self, what: &str, result: Result<Receipt, Rejection>) {
        assert!(matches!(result, Err(Rejection::Unauthorized(_))), "{what}: {result:?}");
        self.refused_any(what, result);
    }

    fn refused_any(&self, what: &str, result: Result<Receipt, Rejection>) {
        let Err(rejection) = result else { panic!("{what}: {result:?}") };
        for key in self.keys {
            let shown = rejection.message().contains(key) || rejection.message().contains(&(self.secret_of)(key));
            assert!(!shown, "{what}: the message shows the secret: {rejection}");
        }
    }
}
