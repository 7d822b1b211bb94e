//! What an integration of this adapter can say.

use crate::place::Place;
use crate::signature::Scheme;
use camshaft_sdk::prelude::*;
use serde::de::{Deserializer, Error};

/// How deliveries are verified and read. Empty: everything is taken, unverified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A shared value or credentials that every delivery carries.
    pub auth: Option<Auth>,
    /// How deliveries are signed. With `auth`, both have to hold.
    pub signature: Option<Scheme>,
    /// Where the event's type is; `webhook` if left out.
    #[serde(rename = "type")]
    pub kind: Option<Place>,
    /// Where the delivery's id is: the same id again starts nothing.
    pub id: Option<Place>,
    /// Where the event's subject is.
    pub subject: Option<Place>,
}

/// A shared value or credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// The header that has to have the value of the secret `header_value`.
    Header(String),
    /// Basic credentials: the secret `basic_credentials`, `user:password`.
    Basic(True),
}

/// Only ever `true`: `{basic: false}` would read as if it turned something off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(extend("type" = "boolean", "const" = true))]
pub struct True;

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            Ok(Self)
        } else {
            Err(D::Error::custom("only `true` is allowed here; leave `auth` out instead"))
        }
    }
}
