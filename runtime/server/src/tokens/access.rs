//! Access tokens: what a program gets for a token's id and secret (RFC 6749, 4.4), and presents in its place for an hour.
//!
//! ```text
//!   csa_<id of the token>_<end, microseconds since 1970>_<MAC of both and of the token's digest>
//! ```
//! Nothing of them is kept: who holds the key can say whether one is real. With its token it ends, too.

use std::time::Duration;

use camshaft_model::ids::{Digest, ResourceId};
use camshaft_model::limits::ACCESS_TOKEN_LASTS;
use camshaft_model::time::Timestamp;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// An access token that was just made.
pub struct Access {
    /// What the caller presents.
    pub text: String,
    /// How long it is valid.
    pub lasts: Duration,
}

/// An access token as it was presented, not looked at yet.
pub(super) struct Presented<'a> {
    pub(super) id: ResourceId,
    pub(super) end: Timestamp,
    mac: &'a str,
}

impl Access {
    /// An access token for a token, which may itself end before the hour is over.
    pub(super) fn new(
        key: &[u8; 32],
        id: ResourceId,
        digest: &Digest,
        token_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let end = token_end.unwrap_or(Timestamp(u64::MAX)).min(now.plus(ACCESS_TOKEN_LASTS));
        let text = format!("csa_{}_{}_{}", id.0.as_simple(), end.0, mac(key, id, end, digest));
        Self { text, lasts: end.since(now) }
    }
}

impl<'a> Presented<'a> {
    /// Reads what somebody presents; none where it is no access token.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut pieces = text.strip_prefix("csa_")?.splitn(3, '_');
        let (id, end, mac) = (pieces.next()?, pieces.next()?, pieces.next()?);
        Some(Self { id: ResourceId(Uuid::try_parse(id).ok()?), end: Timestamp(end.parse().ok()?), mac })
    }

    /// Whether it was made here, for the token with this digest.
    pub(super) fn is_real(&self, key: &[u8; 32], digest: &Digest) -> bool {
        let wanted = mac(key, self.id, self.end, digest);
        wanted.as_bytes().ct_eq(self.mac.as_bytes()).into()
    }
}

fn mac(key: &[u8; 32], id: ResourceId, end: Timestamp, digest: &Digest) -> String {
    let text = [id.as_bytes().as_slice(), &end.0.to_be_bytes(), &digest.0].concat();
    blake3::keyed_hash(key, &text).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn an_access_token_is_of_its_key_its_token_and_its_time() {
        let (id, digest) = (ResourceId::from_bytes([1; 16]), Digest([2; 32]));
        let now = Timestamp(5_000_000_000);
        let made = Access::new(&KEY, id, &digest, None, now);
        assert_eq!(made.lasts, ACCESS_TOKEN_LASTS);
        let read = Presented::read(&made.text).unwrap();
        assert_eq!((read.id, read.end), (id, now.plus(ACCESS_TOKEN_LASTS)));
        assert!(read.is_real(&KEY, &digest));
        assert!(!read.is_real(&[8; 32], &digest) && !read.is_real(&KEY, &Digest([3; 32])));

        let (start, mac) = made.text.rsplit_once('_').unwrap();
        let later = format!("{}9_{mac}", start);
        let cut = &made.text[..made.text.len() - 1];
        let longer = format!("{}0", made.text);
        for wrong in [later.as_str(), cut, &longer] {
            assert!(!Presented::read(wrong).unwrap().is_real(&KEY, &digest), "{wrong}");
        }
        for wrong in ["", "csa_", "csa__", "csa___", "csa_x_1_00", "csa_00000000000000000000000000000000_-1_00"] {
            assert!(Presented::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn it_ends_with_its_token() {
        let (id, digest) = (ResourceId::from_bytes([1; 16]), Digest([2; 32]));
        let end = Timestamp(61_000_000);
        let made = Access::new(&KEY, id, &digest, Some(end), Timestamp(1_000_000));
        assert_eq!(made.lasts, Duration::from_secs(60));
        assert_eq!(Presented::read(&made.text).unwrap().end, end);
    }
}
