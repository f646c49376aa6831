//! Passwords: argon2id, one at a time. Shell.
//!
//! A hash takes 19 MiB and some 50 ms of a core (OWASP's choice, the crate's default). One at a time bounds what thousands of
//! guesses cost; a short queue keeps one who knows the password from being turned away at once.

use crate::panel::problem::Refused;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use axum::http::StatusCode;
use ring::rand::{SecureRandom as _, SystemRandom};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// NIST SP 800-63B: length is what counts.
const SHORTEST: usize = 10;
/// Longer than any that is typed, and no work for whoever sends a megabyte.
const LONGEST: usize = 200;
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
    match password.chars().count() {
        ..SHORTEST => return Err(PasswordError::Short),
        SHORTEST..=LONGEST => {}
        _ => return Err(PasswordError::Long),
    }
    let failed = |error: &dyn std::fmt::Display| PasswordError::Hash(error.to_string());
    let mut salt = [0; 16];
    let random = SystemRandom::new().fill(&mut salt);
    random.map_err(|_| PasswordError::Hash("the system gives no random numbers".to_owned()))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| failed(&error))?;
    let hash = argon2id().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| failed(&error))
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn fits(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        argon2id()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

pub(super) struct Checker {
    /// Who works.
    one: Arc<Semaphore>,
    /// Who works or waits.
    all: Arc<Semaphore>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker {
            one: Arc::new(Semaphore::new(1)),
            all: Arc::new(Semaphore::new(1 + WAITING_MOST)),
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
        self.work(move || match its {
            Some(its) => fits(&password, &its),
            None => {
                // Its outcome is nobody's password.
                let _ = hash("the work of a check");
                false
            }
        })
        .await
    }

    pub async fn hash(&self, password: &str) -> Result<String, Refused> {
        let password = password.to_owned();
        self.work(move || hash(&password)).await?.map_err(|error| {
            let status = match error {
                PasswordError::Hash(_) => StatusCode::INTERNAL_SERVER_ERROR,
                PasswordError::Short | PasswordError::Long => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Refused::new(status, "bad-password", error.to_string())
        })
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let busy = || {
            let text = "many passwords are being tried: try again in some seconds".to_owned();
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "busy", text).after(Duration::from_secs(2))
        };
        let _place = self.all.clone().try_acquire_owned().map_err(|_| busy())?;
        let turn = self.one.clone().acquire_owned().await.map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(work).await;
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

    #[test]
    fn a_hash_fits_its_password_and_no_other() {
        let its = hash("correct horse battery").unwrap();
        assert!(its.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{its}");
        assert!(fits("correct horse battery", &its));
        assert!(!fits("correct horse batterz", &its));
        assert!(!fits("correct horse battery", "no hash"));
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
