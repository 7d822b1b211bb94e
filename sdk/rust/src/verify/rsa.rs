//! RSA: signatures of the scheme RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2), checked with a public key.
//!
//! The arithmetic is `crypto-bigint`'s. A message is encoded and compared whole, as the RFC has it: nothing in a signature is parsed.

use crate::adapter::Rejection;
use crate::verify::{Algorithm, same};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U64, U4096};
use sha2::Digest;

/// 2048 bits: shorter keys are not trusted any more (NIST SP 800-131A).
const KEY_BYTES_MIN: usize = 2048 / 8;
/// Room for every key, so that a component has the arithmetic of one size.
const KEY_BYTES_MAX: usize = 4096 / 8;
/// The exponent that nearly every key has, and the smallest that FIPS 186-5 allows.
const EXPONENT_MIN: u64 = 65_537;
/// So that no key makes verifying slow.
const EXPONENT_MAX: u64 = (1 << 33) - 1;
/// What stands before a hash, which names it: `DigestInfo` (RFC 8017, section 9.2, note 1).
const SHA1: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
const SHA256: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SHA512: &[u8] = b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// A public key of 2048 to 4096 bits.
#[derive(Debug, Clone)]
pub(super) struct RsaKey {
    modulus: FixedMontyParams<{ U4096::LIMBS }>,
    exponent: U64,
    bytes: usize,
}

impl RsaKey {
    /// The key of a modulus and an exponent, each with its highest byte first and no zero before it; none where they are no such
    /// key.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let bytes = modulus.len();
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes) || modulus[0] < 0x80 || exponent.len() > size_of::<u64>() {
            return None;
        }
        let exponent = exponent.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if !(EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent) || exponent % 2 == 0 {
            return None;
        }
        let modulus = Odd::new(number(modulus)).into_option()?;
        Some(Self { modulus: FixedMontyParams::new_vartime(modulus), exponent: U64::from_u64(exponent), bytes })
    }

    /// Verifies a signature of a message.
    ///
    /// # Errors
    /// `unauthorized` where it was not made with this key, of this message.
    #[inline(always)]
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Rejection> {
        match algorithm {
            Algorithm::Sha1 => self.made(&[SHA1, &sha1::Sha1::digest(message)].concat(), signature),
            Algorithm::Sha256 => self.made(&[SHA256, &sha2::Sha256::digest(message)].concat(), signature),
            Algorithm::Sha512 => self.made(&[SHA512, &sha2::Sha512::digest(message)].concat(), signature),
        }
    }

    /// RSASSA-PKCS1-V1_5-VERIFY of a hash behind its name. Once in a component, however many hashes it knows.
    #[inline(never)]
    fn made(&self, hash: &[u8], signature: &[u8]) -> Result<(), Rejection> {
        let refused = || Rejection::Unauthorized("the signature does not match the message".to_owned());
        if signature.len() != self.bytes || number(signature) >= *self.modulus.modulus().as_ref() {
            return Err(refused());
        }
        let opened = FixedMontyForm::new(&number(signature), &self.modulus).pow_vartime(&self.exponent).retrieve();
        // EMSA-PKCS1-v1_5: 0, 1, as many 255 as it takes, 0, the hash.
        let mut encoded = vec![0; KEY_BYTES_MAX - self.bytes];
        encoded.extend([0, 1]);
        encoded.resize(KEY_BYTES_MAX - hash.len() - 1, 0xff);
        encoded.push(0);
        encoded.extend(hash);
        if same(&opened.to_be_bytes(), &encoded) { Ok(()) } else { Err(refused()) }
    }
}

/// The number of at most 4096 bits with these bytes, the highest first.
fn number(bytes: &[u8]) -> U4096 {
    let mut padded = [0; KEY_BYTES_MAX];
    padded[KEY_BYTES_MAX - bytes.len()..].copy_from_slice(bytes);
    U4096::from_be_slice(&padded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Encoding;
    use ::rsa::pkcs1v15::Pkcs1v15Sign;
    use ::rsa::pkcs8::DecodePrivateKey;
    use ::rsa::traits::{PrivateKeyParts, PublicKeyParts};
    use ::rsa::{RsaPrivateKey, RsaPublicKey};
    use std::sync::LazyLock;

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
    const MESSAGE: &[u8] = b"Hello, World!";

    static PRIVATE: LazyLock<[RsaPrivateKey; 3]> = LazyLock::new(|| {
        [
            include_str!("../../tests/certificates/rsa-2048.key.pem"),
            include_str!("../../tests/certificates/rsa-3072.key.pem"),
            include_str!("../../tests/certificates/rsa-4096.key.pem"),
        ]
        .map(|pem| RsaPrivateKey::from_pkcs8_pem(pem).unwrap())
    });

    fn public(key: &RsaPrivateKey) -> RsaKey {
        RsaKey::new(&key.n_bytes(), &key.e_bytes()).unwrap()
    }

    /// As another implementation has it.
    fn scheme(algorithm: Algorithm, message: &[u8]) -> (Pkcs1v15Sign, Vec<u8>) {
        match algorithm {
            Algorithm::Sha1 => (Pkcs1v15Sign::new::<sha1::Sha1>(), sha1::Sha1::digest(message).to_vec()),
            Algorithm::Sha256 => (Pkcs1v15Sign::new::<sha2::Sha256>(), sha2::Sha256::digest(message).to_vec()),
            Algorithm::Sha512 => (Pkcs1v15Sign::new::<sha2::Sha512>(), sha2::Sha512::digest(message).to_vec()),
        }
    }

    fn signed(key: &RsaPrivateKey, algorithm: Algorithm) -> Vec<u8> {
        let (scheme, hash) = scheme(algorithm, MESSAGE);
        key.sign(scheme, &hash).unwrap()
    }

    /// What the key's owner can make of any block, well padded or not.
    fn opened_to(key: &RsaPrivateKey, block: &[u8]) -> Vec<u8> {
        let modulus = FixedMontyParams::new_vartime(Odd::new(number(&key.n_bytes())).unwrap());
        let exponent = number(&key.d().to_be_bytes());
        let made = FixedMontyForm::new(&number(block), &modulus).pow_vartime(&exponent).retrieve();
        made.to_be_bytes()[KEY_BYTES_MAX - block.len()..].to_vec()
    }

    #[test]
    fn what_another_implementation_signs_is_verified_and_nothing_near_it() {
        for key in PRIVATE.iter() {
            let ours = public(key);
            for algorithm in ALGORITHMS {
                let signature = signed(key, algorithm);
                assert!(ours.verify(algorithm, MESSAGE, &signature).is_ok(), "{algorithm:?}");
                assert!(ours.verify(algorithm, b"Hello, World?", &signature).is_err());
                for other in ALGORITHMS.into_iter().filter(|other| *other != algorithm) {
                    assert!(ours.verify(other, MESSAGE, &signature).is_err());
                }
                for at in [0, 1, signature.len() / 2, signature.len() - 1] {
                    let mut changed = signature.clone();
                    changed[at] ^= 1;
                    assert!(ours.verify(algorithm, MESSAGE, &changed).is_err(), "{at}");
                }
                for length in
                    [&b""[..], &signature[1..], &[&[0], &signature[..]].concat(), &[&signature[..], &[0]].concat()]
                {
                    assert!(ours.verify(algorithm, MESSAGE, length).is_err());
                }
            }
        }
        assert!(
            public(&PRIVATE[1]).verify(Algorithm::Sha256, MESSAGE, &signed(&PRIVATE[0], Algorithm::Sha256)).is_err()
        );
    }

    /// A number that is the same modulo the key's, and one that opens to itself.
    #[test]
    fn a_signature_is_smaller_than_the_modulus_and_is_no_trivial_one() {
        let key = &PRIVATE[0];
        let ours = public(key);
        let modulus = number(&key.n_bytes());
        let same = number(&signed(key, Algorithm::Sha256)).wrapping_add(&modulus).to_be_bytes();
        assert!(ours.verify(Algorithm::Sha256, MESSAGE, &same[KEY_BYTES_MAX - 256..]).is_err());
        let below = modulus.wrapping_sub(&U4096::ONE).to_be_bytes();
        for trivial in [&[0; 256][..], &[255; 256], &key.n_bytes(), &below[KEY_BYTES_MAX - 256..]] {
            assert!(ours.verify(Algorithm::Sha256, MESSAGE, trivial).is_err());
        }
    }

    /// Some of these were taken by implementations that read the block instead of making it: CVE-2006-4339, CVE-2014-1568.
    #[test]
    fn the_padding_is_exact() {
        let key = &PRIVATE[0];
        let (ours, theirs) = (public(key), RsaPublicKey::from(key));
        let hash = sha2::Sha256::digest(MESSAGE);
        let block = |start: [u8; 2], fill: u8, name: &[u8], end: &[u8]| {
            let rest = [&[0], name, &hash, end].concat();
            [&start[..], &vec![fill; 256 - 2 - rest.len()], &rest].concat()
        };
        let with_null_gone = b"\x30\x2f\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x04\x20";
        let long_length = b"\x30\x81\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
        let sound = block([0, 1], 0xff, SHA256, b"");
        let mut hole = sound.clone();
        hole[100] = 0xfe;
        let short = {
            // Eight bytes of padding, and the rest behind the hash.
            let start = [&[0, 1][..], &[0xff; 8], &[0], SHA256, &hash].concat();
            [&start[..], &vec![0x55; 256 - start.len()]].concat()
        };
        for (what, block, taken) in [
            ("sound", sound, true),
            ("another type of block", block([0, 2], 0xff, SHA256, b""), false),
            ("a first byte that is not 0", block([1, 1], 0xff, SHA256, b""), false),
            ("filled with something else", block([0, 1], 0, SHA256, b""), false),
            ("one byte of the filling is another", hole, false),
            ("something behind the hash", block([0, 1], 0xff, SHA256, b"\0"), false),
            ("much behind the hash", short, false),
            ("the hash of another name", block([0, 1], 0xff, SHA512, b""), false),
            ("no name", block([0, 1], 0xff, b"", b""), false),
            ("a name without its null", block([0, 1], 0xff, with_null_gone, b""), false),
            ("a name in the long form", block([0, 1], 0xff, long_length, b""), false),
        ] {
            let signature = opened_to(key, &block);
            assert_eq!(ours.verify(Algorithm::Sha256, MESSAGE, &signature).is_ok(), taken, "{what}");
            let (scheme, hash) = scheme(Algorithm::Sha256, MESSAGE);
            assert_eq!(theirs.verify(scheme, &hash, &signature).is_ok(), taken, "{what}, elsewhere");
        }
    }

    #[test]
    fn only_a_key_is_a_key() {
        let (modulus, exponent) = (PRIVATE[0].n_bytes(), PRIVATE[0].e_bytes());
        assert!(RsaKey::new(&modulus, &exponent).is_some());
        let mut even = modulus.to_vec();
        even[255] &= 0xfe;
        for (bad, why) in [
            (&modulus[1..], "2040 bits"),
            (&[&[0x7f], &modulus[1..]].concat(), "2047 bits"),
            (&[&[0], &modulus[..]].concat(), "a zero before it"),
            (&even, "even"),
            (&[0xff; 513], "4104 bits"),
            (b"", "nothing"),
        ] {
            assert!(RsaKey::new(bad, &exponent).is_none(), "{why}");
        }
        for bad in [&b""[..], &[1], &[3], &[0x01, 0x00, 0x00], &[0x02, 0, 0, 0, 0x01], &[1; 9], &[255; 8]] {
            assert!(RsaKey::new(&modulus, bad).is_none(), "{bad:?}");
        }
        assert!(RsaKey::new(&modulus, &[0x01, 0xff, 0xff, 0xff, 0xff]).is_some(), "33 bits");
    }

    #[test]
    fn what_openssl_signs_is_verified() {
        let signature = Encoding::Base64.decode(include_str!("../../tests/certificates/openssl.sig").trim()).unwrap();
        assert!(public(&PRIVATE[0]).verify(Algorithm::Sha256, MESSAGE, &signature).is_ok());
    }
}
