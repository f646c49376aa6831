//! Passwords: argon2id, one at a time. Shell.
//!
//! A hash takes 19 MiB and some 50 ms of a core (OWASP's choice, the crate's default). One at a time, in memory that is kept, bounds
//! what thousands of guesses cost (allocated anew, each thread's heap would keep its own); a short queue keeps one who knows the
//! password from being turned away at once.

use crate::panel::problem::Refused;
use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use axum::http::StatusCode;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// NIST SP 800-63B: length is what counts.
const SHORTEST: usize = 10;
/// Longer than any that is typed, and no work for whoever sends a megabyte.
const LONGEST: usize = 200;
/// In bytes, as RFC 9106 wants them at least, or more.
const SALT: usize = 16;
const OUTPUT: usize = 32;
const WAITING_MOST: usize = 8;
/// Between two checks: guesses never take more than a small part of a core.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error(
        "a password has at least {SHORTEST} characters: three or four words are easy to remember"
    )]
    Short,
    #[error("a password has at most {LONGEST} characters")]
    Long,
    #[error("the password can't be hashed: {0}")]
    Hash(String),
}

/// argon2id as a PHC string. Takes a core for some 50 ms.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    hash_in(password, &mut Vec::new())
}

fn hash_in(password: &str, memory: &mut Vec<Block>) -> Result<String, PasswordError> {
    match password.chars().count() {
        ..SHORTEST => return Err(PasswordError::Short),
        SHORTEST..=LONGEST => {}
        _ => return Err(PasswordError::Long),
    }
    let failed = |error: &dyn std::fmt::Display| PasswordError::Hash(error.to_string());
    let mut bytes = [0; SALT];
    let random = SystemRandom::new().fill(&mut bytes);
    random.map_err(|_| failed(&"the system gives no random numbers"))?;
    let salt = SaltString::encode_b64(&bytes).map_err(|error| failed(&error))?;
    let params = Params::DEFAULT;
    let output = digest(password, &bytes, &params, memory).map_err(|error| failed(&error))?;
    let made = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|error| failed(&error))?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(made.to_string())
}

fn digest(
    password: &str,
    salt: &[u8],
    params: &Params,
    memory: &mut Vec<Block>,
) -> Result<Output, argon2::password_hash::Error> {
    let blocks = params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    let mut out = [0; OUTPUT];
    let argon2id = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let blocks = &mut memory[..blocks];
    argon2id.hash_password_into_with_memory(password.as_bytes(), salt, &mut out, blocks)?;
    Output::new(&out)
}

fn fits_in(password: &str, hash: &str, memory: &mut Vec<Block>) -> bool {
    let mut check = || {
        let its = PasswordHash::new(hash).ok()?;
        let params = Params::try_from(&its).ok()?;
        let mut bytes = [0; Salt::MAX_LENGTH];
        let salt = its.salt?.decode_b64(&mut bytes).ok()?;
        // In constant time.
        Some(digest(password, salt, &params, memory).ok()? == its.hash?)
    };
    check().unwrap_or(false)
}

pub(super) struct Checker {
    /// Who works.
    one: Arc<Semaphore>,
    /// Who works or waits.
    all: Arc<Semaphore>,
    /// Of the one who works.
    memory: Arc<Mutex<Vec<Block>>>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker {
            one: Arc::new(Semaphore::new(1)),
            all: Arc::new(Semaphore::new(1 + WAITING_MOST)),
            memory: Arc::default(),
        }
    }
}

impl Checker {
    /// Without a hash it takes as long, and does not fit: how long an answer takes tells nobody which names there are.
    pub async fn fits(&self, password: &str, its: Option<String>) -> Result<bool, Refused> {
        if password.chars().count() > LONGEST {
            return Ok(false);
        }
        let password = password.to_owned();
        self.work(move |memory| match its {
            Some(its) => fits_in(&password, &its, memory),
            None => {
                // Its outcome is nobody's password.
                let _ = hash_in("the work of a check", memory);
                false
            }
        })
        .await
    }

    pub async fn hash(&self, password: &str) -> Result<String, Refused> {
        let password = password.to_owned();
        self.work(move |memory| hash_in(&password, memory))
            .await?
            .map_err(|error| {
                let status = match error {
                    PasswordError::Hash(_) => StatusCode::INTERNAL_SERVER_ERROR,
                    PasswordError::Short | PasswordError::Long => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Refused::new(status, "bad-password", error.to_string())
            })
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let busy = || {
            let text = "many passwords are being tried: try again in some seconds".to_owned();
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "busy", text).after(Duration::from_secs(2))
        };
        let _place = self.all.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = self.one.clone().acquire_owned().await.map_err(|_| busy())?;
        let memory = Arc::clone(&self.memory);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut memory.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await;
        // The next one waits for its turn, this one for nothing.
        tokio::spawn(async move {
            tokio::time::sleep(PAUSE).await;
            drop(turn);
        });
        done.map_err(|_| busy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(password: &str, hash: &str) -> bool {
        fits_in(password, hash, &mut Vec::new())
    }

    #[test]
    fn a_hash_fits_its_password_and_no_other() {
        let its = hash("correct horse battery").unwrap();
        assert!(its.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{its}");
        assert!(fits("correct horse battery", &its));
        assert!(!fits("correct horse batterz", &its));
        assert!(!fits("correct horse battery", "no hash"));
        // The crate's own check agrees.
        let foreign = argon2::PasswordVerifier::verify_password(
            &Argon2::default(),
            b"correct horse battery",
            &PasswordHash::new(&its).unwrap(),
        );
        assert_eq!(foreign, Ok(()));
        assert_ne!(its, hash("correct horse battery").unwrap(), "salted");
        assert_eq!(hash("short"), Err(PasswordError::Short));
        assert_eq!(hash(&"x".repeat(201)), Err(PasswordError::Long));
    }

    #[tokio::test]
    async fn a_crowd_is_turned_away() {
        let checker = Arc::new(Checker::default());
        let tries = (0..100).map(|_| {
            let checker = Arc::clone(&checker);
            tokio::spawn(async move { checker.fits("a wrong password", None).await.is_ok() })
        });
        let mut tried = 0;
        for one in tries.collect::<Vec<_>>() {
            tried += usize::from(one.await.unwrap());
        }
        assert!((1..=WAITING_MOST + 1).contains(&tried), "{tried}");
    }
}
