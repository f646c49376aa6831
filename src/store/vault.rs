//! Keys at rest: sealed with ChaCha20-Poly1305 under a master key that is not in the database.
//!
//! The master key is systemd's credential `regia-master` where there is one (then it may be bound to the machine's TPM),
//! or else a file of mode 0600 beside the database, made on first use. From it, by HKDF, come the key that seals and
//! the one that makes marks.

use crate::secret::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const CREDENTIAL: &str = "regia-master";
const FILE: &str = "master.key";
const MASTER_LEN: usize = 32;
/// A credential is read up to here.
const CREDENTIAL_MAX: u64 = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the master key {} can't be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the master key {} can't be made: {error}", path.display())]
    Unwritable { path: PathBuf, error: io::Error },
    #[error("the master key {} is open to others (mode {mode:04o}): chmod 600 it, and save the stream keys again", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("the master key {} is too short ({length} bytes; {MASTER_LEN} at least)", path.display())]
    Short { path: PathBuf, length: usize },
    #[error("the system gives no random numbers")]
    NoRandom,
    #[error("it was saved under another master key, or is damaged: save it again")]
    Sealed,
}

/// A keyed hash of a stream key: tells that two are the same, and to whom has no master key nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyMark([u8; 32]);

impl KeyMark {
    pub fn new(bytes: [u8; 32]) -> Self {
        KeyMark(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMark({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl Serialize for KeyMark {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        to.serialize_str(&base64::engine::general_purpose::STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for KeyMark {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        use serde::de::Error;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(String::deserialize(from)?)
            .map_err(D::Error::custom)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| D::Error::custom("a key's mark has 32 bytes"))?;
        Ok(KeyMark(bytes))
    }
}

pub struct Vault {
    seal: LessSafeKey,
    mark: hmac::Key,
    random: SystemRandom,
}

impl Vault {
    /// The vault of a state directory. `credentials` is systemd's directory ($CREDENTIALS_DIRECTORY).
    pub fn open(dir: &Path, credentials: Option<&Path>) -> Result<Self, VaultError> {
        let random = SystemRandom::new();
        let credential = credentials
            .map(|dir| dir.join(CREDENTIAL))
            .filter(|path| path.exists());
        let master = match credential {
            Some(path) => read(&path)?,
            None => own_file(&dir.join(FILE), &random)?,
        };
        Ok(Vault::from_master(&master, random))
    }

    /// One that no other process knows: what it seals and marks is of use to this one alone.
    pub fn passing() -> Result<Self, VaultError> {
        let random = SystemRandom::new();
        let mut master = [0; MASTER_LEN];
        random.fill(&mut master).map_err(|_| VaultError::NoRandom)?;
        Ok(Vault::from_master(&master, random))
    }

    fn from_master(master: &[u8], random: SystemRandom) -> Self {
        let root = Salt::new(HKDF_SHA256, b"regia state 1").extract(master);
        let seal = UnboundKey::from(expand(&root, &[b"stream keys"], &CHACHA20_POLY1305));
        Vault {
            seal: LessSafeKey::new(seal),
            mark: hmac::Key::from(expand(&root, &[b"marks"], hmac::HMAC_SHA256)),
            random,
        }
    }

    /// Nonce and ciphertext. The slot's name is bound in, so that rows can't be exchanged.
    pub fn seal(&self, slot: &str, key: &Secret) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        self.random
            .fill(&mut nonce)
            .map_err(|_| VaultError::NoRandom)?;
        let mut text = key.expose().as_bytes().to_vec();
        self.seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(slot.as_bytes()),
                &mut text,
            )
            .map_err(|_| VaultError::NoRandom)?;
        Ok([nonce.as_slice(), &text].concat())
    }

    pub fn unseal(&self, slot: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let (nonce, text) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(VaultError::Sealed)?;
        let mut text = text.to_vec();
        let plain = self
            .seal
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(slot.as_bytes()),
                &mut text,
            )
            .map_err(|_| VaultError::Sealed)?;
        let key = std::str::from_utf8(plain).map_err(|_| VaultError::Sealed)?;
        Ok(Secret::new(key))
    }

    pub fn mark(&self, key: &Secret) -> KeyMark {
        let tag = hmac::sign(&self.mark, key.expose().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        KeyMark(bytes)
    }
}

/// HKDF's output of a key type's own length can't fail: it is far below the limit of 255 hashes.
fn expand<'a, L: KeyType>(root: &'a Prk, purpose: &'a [&'a [u8]], kind: L) -> Okm<'a, L> {
    match root.expand(purpose, kind) {
        Ok(okm) => okm,
        Err(_) => unreachable!("a key is shorter than 255 hashes"),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, VaultError> {
    let unreadable = |error| VaultError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let mut master = Vec::new();
    File::open(path)
        .and_then(|file| file.take(CREDENTIAL_MAX).read_to_end(&mut master))
        .map_err(unreadable)?;
    if master.len() < MASTER_LEN {
        return Err(VaultError::Short {
            path: path.to_owned(),
            length: master.len(),
        });
    }
    Ok(master)
}

/// The file, made if it is not there.
fn own_file(path: &Path, random: &SystemRandom) -> Result<Vec<u8>, VaultError> {
    match path.metadata() {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(VaultError::Open {
                    path: path.to_owned(),
                    mode,
                });
            }
            read(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut master = vec![0; MASTER_LEN];
            random.fill(&mut master).map_err(|_| VaultError::NoRandom)?;
            write_whole(path, &master).map_err(|error| VaultError::Unwritable {
                path: path.to_owned(),
                error,
            })?;
            Ok(master)
        }
        Err(error) => Err(VaultError::Unreadable {
            path: path.to_owned(),
            error,
        }),
    }
}

/// Under another name first: a power cut leaves the whole key or none.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(dir: &Path) -> Vault {
        Vault::open(dir, None).unwrap()
    }

    #[test]
    fn a_key_comes_back_and_can_not_be_read_without_the_master() {
        let dir = tempfile::tempdir().unwrap();
        let key = Secret::new("abcd-efgh-x7Qd");
        let sealed = vault(dir.path()).seal("main", &key).unwrap();
        assert!(!sealed.windows(4).any(|w| w == b"abcd"));
        // Another start, the same file.
        assert_eq!(vault(dir.path()).unseal("main", &sealed).unwrap(), key);
        let text = |result: Result<Secret, VaultError>| result.unwrap_err().to_string();
        let refused = "it was saved under another master key, or is damaged: save it again";
        assert_eq!(text(vault(dir.path()).unseal("other", &sealed)), refused);
        let mut spoilt = sealed.clone();
        *spoilt.last_mut().unwrap() ^= 1;
        assert_eq!(text(vault(dir.path()).unseal("main", &spoilt)), refused);
        assert_eq!(text(vault(dir.path()).unseal("main", &[1, 2])), refused);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(
            text(vault(elsewhere.path()).unseal("main", &sealed)),
            refused
        );
    }

    #[test]
    fn marks_tell_keys_apart_and_keep_across_starts() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (Secret::new("a"), Secret::new("b"));
        let mark = vault(dir.path()).mark(&a);
        assert_eq!(mark, vault(dir.path()).mark(&a));
        assert_ne!(mark, vault(dir.path()).mark(&b));
        let json = serde_json::to_string(&mark).unwrap();
        assert_eq!(serde_json::from_str::<KeyMark>(&json).unwrap(), mark);
    }

    #[test]
    fn the_credential_goes_before_the_file() {
        let (dir, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = credentials.path().join(CREDENTIAL);
        std::fs::write(&path, b"too short").unwrap();
        let open = || Vault::open(dir.path(), Some(credentials.path()));
        assert_eq!(
            open().err().unwrap().to_string(),
            format!(
                "the master key {} is too short (9 bytes; 32 at least)",
                path.display()
            )
        );
        std::fs::write(&path, [7; 64]).unwrap();
        open().unwrap();
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        vault(dir.path());
        let path = dir.path().join(FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(
            Vault::open(dir.path(), None).err().unwrap().to_string(),
            format!(
                "the master key {} is open to others (mode 0640): chmod 600 it, and save the stream keys again",
                path.display()
            )
        );
    }
}
