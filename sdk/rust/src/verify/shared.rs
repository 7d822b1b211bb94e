//! A token that vendor and integration share, for vendors that do not sign.

use super::{header, parameter, token};
use crate::adapter::{Integration, Rejection, Request, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where a delivery carries the token: configuration of an adapter whose vendor lets people choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SharedToken {
    /// The header with the token; left out, it is the parameter `token` of the URL.
    pub header: Option<String>,
}

impl SharedToken {
    /// The secret that holds the token.
    pub const SECRET: &str = "header_value";

    /// What an integration has to be told of the secret.
    pub fn secret() -> Secret {
        Secret::required(
            Self::SECRET,
            "The value of the header that `header` names; without it, of `?token=` in the URL.",
        )
    }

    /// Compares the delivery's token with the integration's.
    ///
    /// # Errors
    /// `unauthorized` where it is missing or another; `malformed` where it is repeated.
    pub fn verify<C>(&self, request: &Request, integration: &Integration<C>) -> Result<(), Rejection> {
        let accepted = integration.required_secret(Self::SECRET)?;
        match &self.header {
            Some(name) => token(header(request, name)?, &accepted),
            None => token(&parameter(request, "token")?, &accepted),
        }
    }

    /// The delivery with the token in its place.
    ///
    /// # Errors
    /// `unauthorized` where the secret is missing.
    pub fn sign<C>(&self, delivery: Request, integration: &Integration<C>) -> Result<Request, Rejection> {
        let token = integration.first_secret(Self::SECRET)?;
        Ok(match &self.header {
            Some(name) => delivery.with_header(name, token),
            None => delivery.with_parameter("token", token),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_in_the_header_or_in_the_url_and_never_in_the_other() {
        let secrets = vec![(SharedToken::SECRET.to_owned(), vec!["a&b".to_owned()])];
        let integration = Integration { name: "test".to_owned(), config: (), secrets };
        let in_header = Request { headers: vec![("X-Token".into(), b"a&b".to_vec())], ..Request::default() };
        let in_url = Request { query: "x=1&token=a%26b".to_owned(), ..Request::default() };
        let header = SharedToken { header: Some("x-token".to_owned()) };
        let url = SharedToken::default();
        assert!(header.verify(&in_header, &integration).is_ok());
        assert!(url.verify(&in_url, &integration).is_ok());
        assert!(header.verify(&in_url, &integration).is_err());
        assert!(url.verify(&in_header, &integration).is_err());
    }
}
