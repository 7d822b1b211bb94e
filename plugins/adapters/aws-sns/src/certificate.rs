//! The certificate that a message was signed with: where it may be.
//!
//! Whose it is, TLS has shown: it comes from SNS. AWS's own libraries do not follow its chain either.

use crate::aws;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Certificate;

/// Fetches a certificate. Nobody is called for a URL that does not lead to SNS.
pub(crate) fn fetch(url: &str, received_at_ms: u64) -> Result<Certificate, Rejection> {
    let path = aws::path(url).filter(|path| path.ends_with(".pem") && !path.contains(['?', '#']));
    if path.is_none() {
        return Err(Rejection::Unauthorized(
            "`SigningCertURL` does not lead to a certificate of Amazon SNS".to_owned(),
        ));
    }
    let answer = aws::certificate(url)?;
    let refused = |why: &str| Rejection::Unauthorized(format!("`{url}`: {why}"));
    match answer.status {
        200 => {}
        400..=499 => return Err(refused(&format!("no certificate is there: the answer is {}", answer.status))),
        status => return Err(Rejection::Unavailable(format!("`{url}` answers {status}"))),
    }
    let certificate = Certificate::from_pem(&answer.body).map_err(|rejection| refused(rejection.message()))?;
    certificate.valid_at(received_at_ms).map_err(|rejection| refused(rejection.message()))?;
    Ok(certificate)
}
