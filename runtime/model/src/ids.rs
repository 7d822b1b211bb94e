//! Ids: newtypes, so that an execution's id is never handed in where a workflow's is wanted.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::limits;
use crate::time::Timestamp;

/// A text that is no id or name of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{value}` is malformed: {rule}")]
pub struct Malformed {
    /// What was read: "workflow name", "execution id".
    pub what: &'static str,
    /// The text as it came, shortened where it is long.
    pub value: String,
    /// What it should look like.
    pub rule: &'static str,
}

impl Malformed {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        let value = match value.char_indices().nth(80) {
            Some((end, _)) => format!("{}…", &value[..end]),
            None => value.to_owned(),
        };
        Self { what, value, rule }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The 16 bytes, in an order that sorts by time of making.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the 16 bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let malformed = || Malformed::new($what, text, "an id is a UUID of 36 characters");
                if text.len() != 36 {
                    return Err(malformed());
                }
                Uuid::try_parse(text).map(Self).map_err(|_| malformed())
            }
        }
    };
}

uuid_id!(
    /// One run of one revision. A UUIDv7 (RFC 9562): ordered by time, so that journals append.
    ExecutionId,
    "execution id"
);
uuid_id!(
    /// A workflow, integration, token or other resource, whatever its name. A UUIDv7.
    ResourceId,
    "id"
);

impl ExecutionId {
    /// Not greater than any id that is made from this time on.
    pub fn first_at(time: Timestamp) -> Self {
        let mut bytes = [0; 16];
        // RFC 9562, 5.7: 48 bits of milliseconds come first.
        bytes[..6].copy_from_slice(&time.as_millis().min((1 << 48) - 1).to_be_bytes()[2..]);
        Self::from_bytes(bytes)
    }
}

/// A name that people give: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl Name {
    /// What a name looks like, for messages.
    pub const RULE: &'static str =
        "a name is 1 to 63 characters of a-z, 0-9 and hyphen, and begins with a letter or digit";

    /// Reads a name.
    pub fn new(text: &str) -> Result<Self, Malformed> {
        let first = text.as_bytes().first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let rest = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if first && rest && text.len() <= 63 {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::new("name", text, Self::RULE))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The name of a secret, so that `$.secrets.NAME` is a plain path: `[A-Za-z_][A-Za-z0-9_]{0,62}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// Reads a name.
    pub fn new(text: &str) -> Result<Self, Malformed> {
        let first = text.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
        if first && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            Ok(Self(text.into()))
        } else {
            let rule = "it is 1 to 63 letters, digits and underscores, and does not begin with a digit";
            Err(Malformed::new("secret name", text, rule))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// A user of an app, as that app names it: 1 to 255 bytes of text without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Reads an id.
    pub fn new(text: &str) -> Result<Self, Malformed> {
        if (1..=limits::USER_ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(Malformed::new("user id", text, "it has 1 to 255 bytes and no control characters"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The BLAKE3 digest of a component's bytes, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("digest", text, "a digest is 64 hexadecimal digits");
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(malformed());
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| malformed())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How the outside names a resource in a URL: by its id or by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdOrName {
    /// A UUID.
    Id(ResourceId),
    /// Anything else that is a name.
    Name(Name),
}

impl IdOrName {
    /// Reads one; `what` is what the URL means it for ("integration id").
    pub fn parse(what: &'static str, text: &str) -> Result<Self, Malformed> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        Name::new(text)
            .map(Self::Name)
            .map_err(|_| Malformed::new(what, text, "it is a UUID or a name of a-z, 0-9 and hyphen"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_to_its_rule_at_the_limit_and_one_past_it() {
        assert!(Name::new(&"a".repeat(63)).is_ok());
        for bad in ["", "-a", "A", "a_b", "ä", &"a".repeat(64)] {
            let error = Name::new(bad).unwrap_err().to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }

    #[test]
    fn a_uuid_is_an_id_and_other_names_are_names() {
        let id = "018f3c9a-7b1e-7c3d-8a2b-1c2d3e4f5a6b";
        assert_eq!(IdOrName::parse("workflow id", id).unwrap(), IdOrName::Id(id.parse().unwrap()));
        assert!(matches!(IdOrName::parse("workflow id", "orders").unwrap(), IdOrName::Name(_)));
        let error = IdOrName::parse("integration id", "no such!").unwrap_err().to_string();
        assert!(error.starts_with("integration id `no such!`"), "{error}");
    }

    #[test]
    fn ids_of_a_time_stand_between_those_made_before_and_after() {
        // RFC 9562, A.6: made at 1645557742000 ms.
        let id: ExecutionId = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().unwrap();
        assert!(ExecutionId::first_at(Timestamp::from_millis(1_645_557_742_000)) < id);
        assert!(ExecutionId::first_at(Timestamp::from_millis(1_645_557_742_001)) > id);
        assert!(ExecutionId::first_at(Timestamp(u64::MAX)) > id);
    }

    #[test]
    fn a_user_id_is_held_to_its_rule_at_the_limit_and_one_past_it() {
        assert!(UserId::new(&"ä/ ".repeat(63)).is_ok());
        assert!(UserId::new(&"a".repeat(255)).is_ok());
        for bad in ["", "a\nb", &"a".repeat(256)] {
            assert!(UserId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_digest_reads_what_it_shows() {
        let digest = Digest([0xab; 32]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("ab".parse::<Digest>().is_err());
    }
}
