//! Secrets at rest: sealed with XChaCha20-Poly1305 under a key that only this server's data folder holds.
//!
//! ```text
//!   <data>/keys (32 random bytes, 0600) ──blake3::derive_key──► secrets        seals values of secrets and integrations
//!                                                          └──► compile cache  authenticates compiled components
//! ```
//! What is sealed is bound to its place (`secret default api_key`): a sealed value copied to another place does not open.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

use crate::folder::DataFolder;

const FILE: &str = "keys";
const NONCE_BYTES: usize = 24;
/// Names the form, so that another may follow.
const FORM: &str = "x1:";

/// A value as it is stored: form, nonce and ciphertext as one text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<sealed>")
    }
}

/// A sealed value that this vault's key does not open.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{place} cannot be opened: it was sealed with another key file, or changed since")]
pub struct NotOpened {
    /// What was to be opened.
    place: String,
}

/// Seals and opens.
pub struct Vault {
    /// A key that no file holds yet.
    unkept: Option<String>,
    cipher: XChaCha20Poly1305,
    cache_key: [u8; 32],
    access_key: [u8; 32],
}

impl Vault {
    /// The vault of a data folder. Where there is no key file it has a key that was made just now, and nobody keeps before
    /// [`Self::keep`]: who has lost the file shall not find another one in its place.
    pub fn open(folder: &DataFolder) -> Result<Self> {
        let path = folder.path(FILE);
        let kept = folder.read(FILE)?;
        let is_kept = kept.is_some();
        let text = match kept {
            Some(text) => text,
            None => format!("{}\n", hex::encode(random::<32>()?)),
        };
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key)
            .ok()
            .with_context(|| format!("{} is no key file: it holds 64 hexadecimal digits", path.display()))?;
        Ok(Self { unkept: (!is_kept).then_some(text), ..Self::from_key(&key) })
    }

    /// Whether the key was in its file when this was opened.
    pub fn is_kept(&self) -> bool {
        self.unkept.is_none()
    }

    /// Writes the key file if there is none yet. To be done before anything is sealed, and once it is known that nothing
    /// was.
    pub fn keep(&self, folder: &DataFolder) -> Result<()> {
        self.unkept.as_ref().map_or(Ok(()), |text| folder.write_private(FILE, text).map(drop))
    }

    /// A vault with this key.
    pub fn from_key(key: &[u8; 32]) -> Self {
        let sealing = blake3::derive_key("camshaft 2026-11 secrets at rest", key);
        Self {
            unkept: None,
            cipher: XChaCha20Poly1305::new(&sealing.into()),
            cache_key: blake3::derive_key("camshaft 2026-11 compile cache", key),
            access_key: blake3::derive_key("camshaft 2026-11 access tokens", key),
        }
    }

    /// The key that compiled components are authenticated with.
    pub fn cache_key(&self) -> [u8; 32] {
        self.cache_key
    }

    /// The key that access tokens are made with.
    pub fn access_key(&self) -> [u8; 32] {
        self.access_key
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: &str, value: &str) -> Result<Sealed> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: value.as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| anyhow::anyhow!("a value of {} bytes cannot be sealed", value.len()))?;
        Ok(Sealed(format!("{FORM}{}", BASE64.encode([&nonce[..], &sealed].concat()))))
    }

    /// Opens what was sealed for this place.
    pub fn unseal(&self, place: &str, sealed: &Sealed) -> Result<String, NotOpened> {
        let open = || {
            let bytes = BASE64.decode(sealed.0.strip_prefix(FORM)?).ok()?;
            let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
            let payload = Payload { msg: sealed, aad: place.as_bytes() };
            String::from_utf8(self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()?).ok()
        };
        open().ok_or_else(|| NotOpened { place: place.to_owned() })
    }
}

/// Random bytes of the operating system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_in_its_place_with_its_key_and_nowhere_else() {
        let vault = Vault::from_key(&[7; 32]);
        let sealed = vault.seal("secret default a", "s3cret").unwrap();
        assert_eq!(vault.unseal("secret default a", &sealed).unwrap(), "s3cret");
        assert_ne!(sealed, vault.seal("secret default a", "s3cret").unwrap(), "each sealing has a nonce of its own");

        let error = vault.unseal("secret default b", &sealed).unwrap_err().to_string();
        assert!(error.contains("secret default b"), "{error}");
        assert!(Vault::from_key(&[8; 32]).unseal("secret default a", &sealed).is_err());
        let mut changed = sealed.0.clone().into_bytes();
        let last = changed.len() - 2;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        assert!(vault.unseal("secret default a", &Sealed(String::from_utf8(changed).unwrap())).is_err());
        for broken in ["", "x1:", "x1:AAAA", "x2:AAAA"] {
            assert!(vault.unseal("secret default a", &Sealed(broken.into())).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_key_is_made_once_and_a_damaged_one_is_refused() {
        let outside = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(outside.path()).unwrap();
        let vault = Vault::open(&folder).unwrap();
        assert!(!vault.is_kept() && !folder.path("keys").exists(), "it is asked for first");
        vault.keep(&folder).unwrap();
        let sealed = vault.seal("p", "v").unwrap();
        assert!(Vault::open(&folder).unwrap().is_kept());
        assert_eq!(Vault::open(&folder).unwrap().unseal("p", &sealed).unwrap(), "v");
        folder.write_private("keys", "abc").unwrap();
        let error = Vault::open(&folder).err().unwrap().to_string();
        assert!(error.contains("keys is no key file"), "{error}");
    }

    #[test]
    fn no_key_serves_two_ends() {
        let vault = Vault::from_key(&[7; 32]);
        assert_ne!(vault.cache_key(), [7; 32]);
        assert_ne!(vault.cache_key(), blake3::derive_key("camshaft 2026-11 secrets at rest", &[7; 32]));
    }
}
