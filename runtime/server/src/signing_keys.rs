//! Tokens of an app's users: JSON Web Tokens (RFC 7519) that the app signs with a key of its own, and of which a workspace
//! keeps the public half.
//!
//! RS256 alone, whatever a token says of itself: the algorithm is ours to choose, not the sender's (RFC 8725, 3.1). Several keys are
//! valid at once, so that an app changes from one to the next without a token that is refused.

use std::sync::OnceLock;

use camshaft_model::ids::UserId;
use camshaft_model::limits::{
    RSA_BITS_MAX, RSA_BITS_MIN, SIGNING_KEY_BYTES_MAX, USER_TOKEN_BYTES_MAX, USER_TOKEN_LEEWAY,
};
use camshaft_model::time::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, new_error};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;
use signature::Verifier;
use simple_asn1::ASN1Block;

/// A text that is no key for tokens of users; it does not show the text, which may be a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// It is too long for one.
    #[error("the key has {0} bytes; {SIGNING_KEY_BYTES_MAX} is the limit")]
    TooLong(usize),
    /// The app's own half.
    #[error(
        "this is a private key, which only the app needs; `openssl rsa -in private.pem -pubout` makes the public one of it"
    )]
    Private,
    /// Anything else.
    #[error("the key is no RSA public key in PEM, which begins with `-----BEGIN PUBLIC KEY-----`")]
    Other,
    /// It is too weak, or larger than anybody needs.
    #[error("the key has {0} bits; it has {RSA_BITS_MIN} to {RSA_BITS_MAX}")]
    Bits(usize),
}

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// It is longer than any that is meant.
    #[error("the token has {0} bytes; {USER_TOKEN_BYTES_MAX} is the limit")]
    TooLong(usize),
    /// It cannot be read, says another algorithm, or no key of the workspace has signed it.
    #[error("the token is no JSON Web Token that a key of this workspace has signed with RS256")]
    Unsigned,
    /// It lacks something, or has it in another form.
    #[error("the token's claims cannot be read: it has `sub`, a text, and `exp`, a time in seconds")]
    Claims,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// It names nobody.
    #[error("the token's `sub` is no user id: it has 1 to 255 bytes and no control characters")]
    User,
}

/// The public half of an app's key.
pub struct SigningKey {
    key: DecodingKey,
    bits: usize,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an RSA key of {} bits", self.bits)
    }
}

/// What a token says; anything else in it is the app's own.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Seconds since 1970, perhaps with a fraction (RFC 7519, 2: NumericDate).
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
}

impl SigningKey {
    /// Reads a key in PEM.
    pub fn read(pem: &str) -> Result<Self, NotAKey> {
        if pem.len() > SIGNING_KEY_BYTES_MAX {
            return Err(NotAKey::TooLong(pem.len()));
        }
        if pem.contains("PRIVATE KEY") {
            return Err(NotAKey::Private);
        }
        let pem = pem.trim();
        if !["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"].iter().any(|begin| pem.starts_with(begin))
        {
            return Err(NotAKey::Other);
        }
        let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| NotAKey::Other)?;
        let bits = key.try_get_as_bytes().ok().and_then(bits).ok_or(NotAKey::Other)?;
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(NotAKey::Bits(bits));
        }
        Ok(Self { key, bits })
    }

    /// How long it is, bits.
    pub fn bits(&self) -> usize {
        self.bits
    }
}

/// Bits of the modulus of an RSA public key (RFC 8017, A.1.1).
fn bits(der: &[u8]) -> Option<usize> {
    let blocks = simple_asn1::from_der(der).ok()?;
    let [ASN1Block::Sequence(_, parts)] = &blocks[..] else { return None };
    let [ASN1Block::Integer(_, modulus), ASN1Block::Integer(_, _)] = &parts[..] else { return None };
    usize::try_from(modulus.bits()).ok()
}

/// The user of a token that one of these keys has signed and that is valid now.
pub fn verify<'a>(
    keys: impl IntoIterator<Item = &'a SigningKey>,
    token: &str,
    now: Timestamp,
) -> Result<UserId, NotVerified> {
    static RING: OnceLock<()> = OnceLock::new();
    RING.get_or_init(|| {
        // Nobody else in this process installs one; if somebody did, theirs would verify as well.
        let _ = PROVIDER.install_default();
    });
    if token.len() > USER_TOKEN_BYTES_MAX {
        return Err(NotVerified::TooLong(token.len()));
    }
    let header = decode_header(token).map_err(|_| NotVerified::Unsigned)?;
    // What a sender calls critical and a receiver does not know, it must refuse (RFC 7515, 4.1.11).
    if header.alg != Algorithm::RS256 || header.crit.is_some() {
        return Err(NotVerified::Unsigned);
    }
    let mut validation = Validation::new(Algorithm::RS256);
    // Times are held against our clock below. For whom a token is meant is said by the key: it is this workspace's alone.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.set_required_spec_claims(&["exp", "sub"]);
    for key in keys {
        match decode::<Claims>(token, &key.key, &validation) {
            Ok(data) => return data.claims.user(now),
            Err(error) => match error.kind() {
                ErrorKind::InvalidSignature | ErrorKind::Base64(_) | ErrorKind::InvalidToken => {}
                _ => return Err(NotVerified::Claims),
            },
        }
    }
    Err(NotVerified::Unsigned)
}

impl Claims {
    fn user(self, now: Timestamp) -> Result<UserId, NotVerified> {
        let (now, leeway) = (now.0 as f64 / 1e6, USER_TOKEN_LEEWAY.as_secs_f64());
        if self.exp + leeway <= now {
            return Err(NotVerified::Expired);
        }
        if [self.nbf, self.iat].into_iter().flatten().any(|from| from - leeway > now) {
            return Err(NotVerified::Early);
        }
        UserId::new(&self.sub).map_err(|_| NotVerified::User)
    }
}

/// `ring`, as the library of tokens asks it.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory: |algorithm, key| match (algorithm, key.family()) {
        (Algorithm::RS256, AlgorithmFamily::Rsa) => Ok(Box::new(Rs256(key.try_get_as_bytes()?.to_vec()))),
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// RSASSA-PKCS1-v1_5 with SHA-256 and this key, in the form of RFC 8017, A.1.1.
struct Rs256(Vec<u8>);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0);
        key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as BASE64};
    use camshaft_model::{Value, json};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;
    use ring::hmac;
    use ring::rand::SystemRandom;
    use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

    use super::*;

    const FIRST: &str = include_str!("../tests/keys/first.pem");
    const SECOND: &str = include_str!("../tests/keys/second.pem");
    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
    const NOW_S: i64 = 1_800_000_000;

    fn part(value: &Value) -> String {
        BASE64.encode(value.to_string())
    }

    fn signed_by(key: &[u8], header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let key = RsaKeyPair::from_pkcs8(key).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", BASE64.encode(signature))
    }

    fn signed(claims: &Value) -> String {
        signed_by(include_bytes!("../tests/keys/first.pk8"), &json!({"alg": "RS256", "typ": "JWT"}), claims)
    }

    fn user(token: &str) -> Result<String, NotVerified> {
        let key = SigningKey::read(FIRST).unwrap();
        verify([&key], token, NOW).map(|user| user.to_string())
    }

    fn ada() -> Value {
        json!({"sub": "ada", "exp": NOW_S + 60})
    }

    #[test]
    fn a_key_is_a_public_rsa_key_of_a_length_that_is_strong_and_not_absurd() {
        assert_eq!(SigningKey::read(FIRST).unwrap().bits(), 2_048);
        assert_eq!(SigningKey::read(include_str!("../tests/keys/first.pkcs1.pem")).unwrap().bits(), 2_048);
        assert_eq!(SigningKey::read(include_str!("../tests/keys/weak.pem")).unwrap_err(), NotAKey::Bits(1_024));
        assert_eq!(SigningKey::read(include_str!("../tests/keys/elliptic.pem")).unwrap_err(), NotAKey::Other);
        let private = FIRST.replace("PUBLIC KEY", "PRIVATE KEY");
        let error = SigningKey::read(&private).unwrap_err();
        assert!(error == NotAKey::Private && !error.to_string().contains("MII"), "{error}");
        let long = format!("{FIRST}{}", " ".repeat(SIGNING_KEY_BYTES_MAX));
        assert!(matches!(SigningKey::read(&long), Err(NotAKey::TooLong(_))));
        for other in ["", "key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert_eq!(SigningKey::read(other).unwrap_err(), NotAKey::Other, "{other}");
        }
    }

    #[test]
    fn a_token_is_believed_while_a_key_that_signed_it_is_there() {
        let token = signed(&ada());
        let (first, second) = (SigningKey::read(FIRST).unwrap(), SigningKey::read(SECOND).unwrap());
        let verified = |keys: &[&SigningKey]| verify(keys.iter().copied(), &token, NOW).map(|user| user.to_string());
        assert_eq!(verified(&[&first]), Ok("ada".to_owned()));
        assert_eq!(verified(&[&second, &first]), Ok("ada".to_owned()), "the old one and the new one");
        assert_eq!(verified(&[&second]), Err(NotVerified::Unsigned), "the old one is gone");
        assert_eq!(verified(&[]), Err(NotVerified::Unsigned));
        let pkcs1 = SigningKey::read(include_str!("../tests/keys/first.pkcs1.pem")).unwrap();
        assert_eq!(verified(&[&pkcs1]), Ok("ada".to_owned()));
    }

    #[test]
    fn no_other_algorithm_is_taken_whatever_the_token_says_of_itself() {
        let (pk8, claims) = (include_bytes!("../tests/keys/first.pk8"), ada());
        for alg in ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256"] {
            let token = signed_by(pk8, &json!({"alg": alg, "typ": "JWT"}), &claims);
            assert_eq!(user(&token), Err(NotVerified::Unsigned), "{alg}");
        }
        // The public key, as everybody may know it, as the secret of an HMAC: in PEM, and in the form that it is kept in.
        let key = DecodingKey::from_rsa_pem(FIRST.as_bytes()).unwrap();
        for secret in [FIRST.as_bytes(), FIRST.trim().as_bytes(), key.try_get_as_bytes().unwrap()] {
            let message = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(&claims));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
            assert_eq!(user(&format!("{message}.{}", BASE64.encode(tag))), Err(NotVerified::Unsigned));
        }
        let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
        assert_eq!(user(&unsigned), Err(NotVerified::Unsigned));
        let critical = signed_by(pk8, &json!({"alg": "RS256", "crit": ["exp"]}), &claims);
        assert_eq!(user(&critical), Err(NotVerified::Unsigned));
        // A key that the token brings itself.
        let (n, e) = ("AQAB", "AQAB");
        let own = json!({"alg": "RS256", "jwk": {"kty": "RSA", "n": n, "e": e}});
        assert_eq!(
            user(&signed_by(include_bytes!("../tests/keys/second.pk8"), &own, &claims)),
            Err(NotVerified::Unsigned)
        );
    }

    #[test]
    fn a_token_that_was_changed_is_refused() {
        let token = signed(&ada());
        let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let eve = part(&json!({"sub": "eve", "exp": NOW_S + 60}));
        assert_eq!(user(&format!("{header}.{eve}.{signature}")), Err(NotVerified::Unsigned));
        for wrong in ["", ".", "..", "a.b.c", &token[..token.len() - 4], &format!("{token}.x"), &format!("{token}AA")] {
            assert_eq!(user(wrong), Err(NotVerified::Unsigned), "{wrong}");
        }
        let long = format!("{token}{}", "A".repeat(USER_TOKEN_BYTES_MAX));
        assert!(matches!(user(&long), Err(NotVerified::TooLong(_))));
    }

    proptest! {
        #[test]
        fn no_text_that_somebody_makes_up_is_a_token_or_breaks_the_reader(
            text in any::<String>(), claims in any::<String>(), kid in ".{0,20}", signature in vec(any::<u8>(), 0..300),
        ) {
            prop_assert!(user(&text).is_err());
            let header = part(&json!({"alg": "RS256", "kid": kid}));
            let made_up = format!("{header}.{}.{}", BASE64.encode(claims), BASE64.encode(signature));
            prop_assert_eq!(user(&made_up), Err(NotVerified::Unsigned));
        }

        #[test]
        fn no_other_character_anywhere_in_a_token_is_overlooked(at in any::<Index>(), other in "[A-Za-z0-9_=.-]") {
            let token = signed(&ada());
            let at = at.index(token.len());
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            prop_assert_eq!(user(&changed).is_ok(), changed == token, "{}", changed);
        }

        #[test]
        fn no_text_breaks_the_reader_of_keys(text in any::<String>(), der in vec(any::<u8>(), 0..600)) {
            prop_assert!(SigningKey::read(&text).is_err());
            let body = STANDARD.encode(der);
            for label in ["PUBLIC KEY", "RSA PUBLIC KEY"] {
                let _ = SigningKey::read(&format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"));
            }
        }
    }

    #[test]
    fn times_count_to_the_second_beyond_what_clocks_may_differ_by() {
        let with = |name: &str, at: i64| {
            let mut claims = ada();
            claims[name] = json!(at);
            user(&signed(&claims))
        };
        assert_eq!(with("exp", NOW_S - 60), Err(NotVerified::Expired));
        assert!(with("exp", NOW_S - 59).is_ok());
        for from in ["nbf", "iat"] {
            assert_eq!(with(from, NOW_S + 61), Err(NotVerified::Early), "{from}");
            assert!(with(from, NOW_S + 60).is_ok(), "{from}");
        }
        assert!(user(&signed(&json!({"sub": "ada", "exp": 1_800_000_000.5, "aud": "somebody"}))).is_ok());
    }

    #[test]
    fn a_token_names_a_user_and_an_end_in_the_forms_that_they_have() {
        for claims in [
            json!({"exp": NOW_S + 60}),
            json!({"sub": "ada"}),
            json!({"sub": 7, "exp": NOW_S + 60}),
            json!({"sub": "ada", "exp": (NOW_S + 60).to_string()}),
            json!({"sub": "ada", "exp": null}),
            json!({"sub": "ada", "exp": NOW_S + 60, "nbf": "tomorrow"}),
            json!(["ada"]),
        ] {
            assert_eq!(user(&signed(&claims)), Err(NotVerified::Claims), "{claims}");
        }
        for nobody in ["", "a\u{0}b", &"x".repeat(256)] {
            assert_eq!(user(&signed(&json!({"sub": nobody, "exp": NOW_S + 60}))), Err(NotVerified::User), "{nobody}");
        }
    }
}
