//! Certificates (X.509, RFC 5280) with RSA keys, and what was signed with them.
//!
//! Of a certificate is read what verifying takes: from when to when it is valid, and its key. Whose it is and who vouches for it is
//! the caller's to know: from where it was fetched, over TLS, or which one it was given.

use super::rsa::RsaKey;
use crate::adapter::Rejection;
use crate::verify::{Algorithm, Encoding};
use der::asn1::{AnyRef, GeneralizedTime, UintRef, UtcTime};
use der::{DateTime, Decode, Reader, SliceReader, Tag, Tagged};

/// Bytes of a certificate in PEM. Those of vendors have some 2,000.
const PEM_BYTES_MAX: usize = 16 << 10;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// `rsaEncryption` (RFC 8017, appendix A.1): 1.2.840.113549.1.1.1.
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";

/// A certificate with an RSA key of 2048 to 4096 bits.
#[derive(Debug, Clone)]
pub struct Certificate {
    begin: DateTime,
    end: DateTime,
    key: RsaKey,
}

impl Certificate {
    /// Reads a certificate in PEM (RFC 7468), of at most 16 KiB.
    ///
    /// # Errors
    /// `unauthorized` where it is none, or where its key is no RSA key, or one of fewer than 2048 bits or more than 4096.
    pub fn from_pem(text: &[u8]) -> Result<Self, Rejection> {
        let refused = |why: &str| Rejection::Unauthorized(format!("the certificate {why}"));
        if text.len() > PEM_BYTES_MAX {
            return Err(refused(&format!("has {} bytes; {PEM_BYTES_MAX} are allowed", text.len())));
        }
        let unreadable = || refused("cannot be read");
        let der = unarmoured(text).ok_or_else(unreadable)?;
        let fields = Fields::read(&der).map_err(|_| unreadable())?;
        let key = fields.key().ok_or_else(|| refused("has no RSA key of 2048 to 4096 bits and a common exponent"))?;
        Ok(Self { begin: fields.begin, end: fields.end, key })
    }

    /// Checks that it is valid at a time, in milliseconds since 1970: usually that of receipt.
    ///
    /// # Errors
    /// `unauthorized` where it is not.
    pub fn valid_at(&self, at_ms: u64) -> Result<(), Rejection> {
        let Self { begin, end, .. } = self;
        let ms = |time: &DateTime| time.unix_duration().as_millis();
        if (ms(begin)..=ms(end)).contains(&u128::from(at_ms)) {
            return Ok(());
        }
        Err(Rejection::Unauthorized(format!("the certificate is valid from {begin} to {end} only")))
    }

    /// Verifies a signature of a message that was made with its key: RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2).
    ///
    /// # Errors
    /// `unauthorized` where it was not made with this key, of this message.
    #[inline(always)]
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), Rejection> {
        self.key.verify(algorithm, message, signature)
    }
}

/// The certificate in its armour, which there is once.
fn unarmoured(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim_ascii();
    let base64 = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
    Encoding::Base64.decode(&base64.split_ascii_whitespace().collect::<String>())
}

/// What is read of a certificate.
struct Fields<'a> {
    begin: DateTime,
    end: DateTime,
    /// `SubjectPublicKeyInfo`: its algorithm and its bits.
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `Certificate` of RFC 5280, section 4.1. What is not needed is skipped, once it is known to be whole.
    fn read(der: &'a [u8]) -> der::Result<Self> {
        let mut outside = SliceReader::new(der)?;
        let mut certificate = inside(&mut outside, Tag::Sequence)?;
        outside.finish()?;

        let mut signed = inside(&mut certificate, Tag::Sequence)?;
        let (_algorithm, _signature) = (next(&mut certificate)?, next(&mut certificate)?);
        certificate.finish()?;

        // The version, which those of the first leave out, and the serial number.
        if !matches!(next(&mut signed)?.tag(), Tag::Integer) {
            next(&mut signed)?;
        }
        let (_algorithm, _issuer) = (next(&mut signed)?, next(&mut signed)?);
        let mut validity = inside(&mut signed, Tag::Sequence)?;
        let (begin, end) = (time(next(&mut validity)?)?, time(next(&mut validity)?)?);
        let _subject = next(&mut signed)?;
        let mut key = inside(&mut signed, Tag::Sequence)?;
        let (algorithm, bits) = (next(&mut key)?.value(), next(&mut key)?.value());
        // Extensions.
        while !signed.is_finished() {
            next(&mut signed)?;
        }
        Ok(Self { begin, end, algorithm, bits })
    }

    /// The key where it is an RSA key: `RSAPublicKey` of RFC 8017, appendix A.1.1.
    fn key(&self) -> Option<RsaKey> {
        let mut algorithm = SliceReader::new(self.algorithm).ok()?;
        let name = next(&mut algorithm).ok()?;
        if (name.tag(), name.value()) != (Tag::ObjectIdentifier, RSA) {
            return None;
        }
        // A string of bits begins with how many of the last byte do not count.
        let mut bits = SliceReader::new(self.bits.strip_prefix(&[0])?).ok()?;
        let mut key = inside(&mut bits, Tag::Sequence).ok()?;
        let modulus = next(&mut key).ok()?.decode_as::<UintRef>().ok()?;
        let exponent = next(&mut key).ok()?.decode_as::<UintRef>().ok()?;
        RsaKey::new(modulus.as_bytes(), exponent.as_bytes())
    }
}

/// The next value, whatever it is.
fn next<'a>(reader: &mut SliceReader<'a>) -> der::Result<AnyRef<'a>> {
    AnyRef::decode(reader)
}

/// What is inside the next value.
fn inside<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<SliceReader<'a>> {
    let value = next(reader)?;
    value.tag().assert_eq(tag)?;
    SliceReader::new(value.value())
}

/// `Time`: with two digits for the year until 2049, with four from then on.
fn time(value: AnyRef<'_>) -> der::Result<DateTime> {
    match value.tag() {
        Tag::UtcTime => Ok(value.decode_as::<UtcTime>()?.to_date_time()),
        _ => Ok(value.decode_as::<GeneralizedTime>()?.to_date_time()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/certificates/", $name, ".pem")).as_slice()
        };
    }

    const JANUARY_2025_MS: u64 = 1_735_689_600_000;
    const JANUARY_2027_MS: u64 = 1_798_761_600_000;

    fn refused(text: &[u8]) -> String {
        let Rejection::Unauthorized(message) = Certificate::from_pem(text).unwrap_err() else { panic!("{text:?}") };
        message
    }

    fn armoured(der: &[u8]) -> Vec<u8> {
        format!("{BEGIN}\n{}\n{END}\n", Encoding::Base64.encode(der)).into_bytes()
    }

    #[test]
    fn a_certificate_is_valid_from_its_first_second_to_its_last() {
        let certificate = Certificate::from_pem(file!("rsa-2048")).unwrap();
        for (at_ms, valid) in [
            (JANUARY_2025_MS, true),
            (JANUARY_2027_MS, true),
            (JANUARY_2025_MS - 1, false),
            (JANUARY_2027_MS + 1, false),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(certificate.valid_at(at_ms).is_ok(), valid, "{at_ms}");
        }
        let why = certificate.valid_at(0).unwrap_err();
        assert_eq!(why.message(), "the certificate is valid from 2025-01-01T00:00:00Z to 2027-01-01T00:00:00Z only");
        // From 2050 on, years are written with four digits.
        let late = Certificate::from_pem(file!("late")).unwrap();
        assert!(late.valid_at(2_571_739_200_000).is_ok());
        assert!(late.valid_at(2_571_739_200_001).is_err());
    }

    #[test]
    fn keys_of_2048_to_4096_bits_are_taken_and_no_others() {
        for taken in [file!("rsa-2048"), file!("rsa-3072"), file!("rsa-4096"), file!("version-1")] {
            assert!(Certificate::from_pem(taken).is_ok(), "{}", String::from_utf8_lossy(taken));
        }
        for other in [file!("rsa-2040"), file!("rsa-4104"), file!("exponent-3"), file!("elliptic")] {
            assert_eq!(refused(other), "the certificate has no RSA key of 2048 to 4096 bits and a common exponent");
        }
    }

    #[test]
    fn what_is_no_whole_certificate_cannot_be_read() {
        let whole = file!("rsa-2048");
        let der = unarmoured(whole).unwrap();
        let text = std::str::from_utf8(whole).unwrap();
        for broken in [
            b"".to_vec(),
            b"\xff\xfe".to_vec(),
            whole[..whole.len() / 2].to_vec(),
            whole.repeat(2),
            file!("rsa-2048.key").to_vec(),
            text.replace("CERTIFICATE", "X509 CRL").into_bytes(),
            text.replacen('M', "*", 1).into_bytes(),
            [BEGIN.as_bytes(), END.as_bytes()].concat(),
            armoured(&[&der[..], b"\0"].concat()),
            der.clone(),
        ] {
            assert_eq!(refused(&broken), "the certificate cannot be read", "{}", String::from_utf8_lossy(&broken));
        }
        for length in 0..der.len() {
            assert_eq!(refused(&armoured(&der[..length])), "the certificate cannot be read", "{length}");
        }
        let large = [whole, &vec![b'\n'; PEM_BYTES_MAX]].concat();
        assert!(refused(&large).ends_with("bytes; 16384 are allowed"), "{}", refused(&large));
        assert!(Certificate::from_pem(&[whole, &vec![b'\n'; PEM_BYTES_MAX - whole.len()]].concat()).is_ok());
    }

    #[test]
    fn a_certificate_with_any_byte_changed_is_read_or_refused() {
        let der = unarmoured(file!("rsa-2048")).unwrap();
        let sound = Certificate::from_pem(&armoured(&der)).unwrap();
        for at in 0..der.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = der.clone();
                changed[at] ^= change;
                if let Ok(certificate) = Certificate::from_pem(&armoured(&changed)) {
                    let _ = certificate.valid_at(JANUARY_2025_MS);
                    let _ = certificate.verify(Algorithm::Sha256, b"", &[0; 256]);
                }
            }
        }
        assert!(sound.valid_at(JANUARY_2025_MS).is_ok());
    }
}
