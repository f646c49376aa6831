//! From a destination's settings to the key that it publishes with. Shell.

use super::control::{Armed, Keys};
use super::event::SessionId;
use crate::config::{Destination, StreamKey};
use crate::platform::KeyNature;
use crate::secret::Secret;
use crate::store::{
    KeyMark, SlotError, SlotInfo, SlotSettings, Store, StoreError, Vault, VaultError,
};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{destination}: {error}")]
    Slot {
        destination: String,
        error: SlotError,
    },
    #[error("{destination}: there is no store to take its key from")]
    NoStore { destination: String },
    #[error(
        "{destination}: its key is for {occurrence} alone: start that occurrence, or save another key"
    )]
    OtherOccurrence {
        destination: String,
        occurrence: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keys by their marks.
pub type Secrets = BTreeMap<KeyMark, Secret>;

/// Where keys come from.
#[derive(Clone)]
pub struct Keyring {
    store: Option<Store>,
    vault: Arc<Vault>,
}

impl Keyring {
    /// Without a store, keys come from the configuration alone, and what was used is forgotten with the process.
    pub fn new(store: Option<Store>, vault: Vault) -> Self {
        Keyring {
            store,
            vault: Arc::new(vault),
        }
    }

    /// The keys of a destination, for an occurrence of a show if it is one that starts.
    pub async fn resolve(
        &self,
        destination: &Destination,
        occurrence: Option<&str>,
    ) -> Result<(Keys, Secrets), KeyError> {
        let mut secrets = Secrets::new();
        let mut arm = |(armed, secret): (Armed, Secret)| {
            secrets.insert(armed.mark, secret);
            armed
        };
        let first = self.open(destination, &destination.key, occurrence).await?;
        let first = arm(first);
        // What is to follow hours later may be saved later, too.
        let next = match &destination.rollover_key {
            Some(key) => self.open(destination, key, occurrence).await.ok().map(arm),
            None => None,
        };
        Ok((Keys { first, next }, secrets))
    }

    async fn open(
        &self,
        destination: &Destination,
        key: &StreamKey,
        occurrence: Option<&str>,
    ) -> Result<(Armed, Secret), KeyError> {
        match key {
            StreamKey::Given(secret) => {
                let mark = self.vault.mark(secret);
                let armed = Armed {
                    mark,
                    single_use: false,
                    used_in: self.used_in(mark).await?,
                };
                Ok((armed, secret.clone()))
            }
            StreamKey::Slot(name) => {
                let id = || destination.id.clone();
                let store = self.store.as_ref();
                let store = store.ok_or_else(|| KeyError::NoStore { destination: id() })?;
                let failed = |error| KeyError::Slot {
                    destination: id(),
                    error,
                };
                let slot = store.open_slot(&self.vault, name).await.map_err(failed)?;
                let SlotSettings {
                    single_use,
                    occurrence: bound,
                } = slot.info.settings;
                if let Some(bound) = bound.filter(|bound| Some(bound.as_str()) != occurrence) {
                    return Err(KeyError::OtherOccurrence {
                        destination: id(),
                        occurrence: bound,
                    });
                }
                let armed = Armed {
                    mark: slot.info.mark,
                    single_use,
                    used_in: slot.info.used.map(|(session, _)| SessionId::new(session)),
                };
                Ok((armed, slot.key))
            }
        }
    }

    /// Whether `given`, by whoever wants to push, is this key. Their marks are compared, so that how long that takes tells nothing.
    pub async fn is(&self, key: &StreamKey, given: &Secret) -> bool {
        let mark = match (key, &self.store) {
            (StreamKey::Given(secret), _) => self.vault.mark(secret),
            (StreamKey::Slot(name), Some(store)) => {
                match store.open_slot(&self.vault, name).await {
                    Ok(slot) => slot.info.mark,
                    Err(error) => {
                        tracing::warn!("the key that is pushed with can't be looked up: {error}");
                        return false;
                    }
                }
            }
            (StreamKey::Slot(_), None) => return false,
        };
        mark == self.vault.mark(given)
    }

    /// The same for what goes on: that its keys were right for the occurrence was seen when it started.
    pub async fn resolve_again(
        &self,
        destination: &Destination,
    ) -> Result<(Keys, Secrets), KeyError> {
        let occurrence = match (&destination.key, &self.store) {
            (StreamKey::Slot(name), Some(store)) => {
                let slots = store.slots().await?;
                let slot = slots.into_iter().find(|slot| slot.name == *name);
                slot.and_then(|slot| slot.settings.occurrence)
            }
            _ => None,
        };
        self.resolve(destination, occurrence.as_deref()).await
    }

    /// The slot that holds the key of that mark, if one does.
    pub async fn slot_of(&self, mark: KeyMark) -> Option<String> {
        let slots = self.store.as_ref()?.slots().await.ok()?;
        let slot = slots.into_iter().find(|slot| slot.mark == mark)?;
        Some(slot.name)
    }

    /// The key of the session after, if there is one.
    pub async fn next(&self, destination: &Destination) -> Option<(Armed, Secret)> {
        let key = destination.rollover_key.as_ref()?;
        self.open(destination, key, None).await.ok()
    }

    async fn used_in(&self, mark: KeyMark) -> Result<Option<SessionId>, StoreError> {
        match &self.store {
            Some(store) => {
                let used = store.key_used(mark).await?;
                Ok(used.map(|(session, _)| SessionId::new(session)))
            }
            None => Ok(None),
        }
    }

    fn store(&self) -> Result<&Store, SlotError> {
        self.store
            .as_ref()
            .ok_or(SlotError::Store(StoreError::Gone))
    }

    pub async fn save(
        &self,
        slot: &str,
        key: &str,
        settings: SlotSettings,
    ) -> Result<SlotInfo, SlotError> {
        let now = super::clock::wall_ms();
        self.store()?
            .save_key(&self.vault, slot, key, settings, now)
            .await
    }

    pub async fn list(&self) -> Result<Vec<SlotInfo>, SlotError> {
        Ok(self.store()?.slots().await?)
    }

    pub async fn delete(&self, slot: &str) -> Result<bool, SlotError> {
        Ok(self.store()?.delete_slot(slot).await?)
    }
}

/// Whether every key of this destination serves for one broadcast.
pub fn is_single_use(destination: &Destination) -> bool {
    destination.rules().key.value == KeyNature::SingleEvent
}

/// What a daemon remembers by, and seals with.
pub struct Memory {
    pub store: Store,
    pub vault: Vault,
    /// What the operator should know of how the store was opened.
    pub notices: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Memory {
    /// Of a state directory, which exists. `credentials`: systemd's ($CREDENTIALS_DIRECTORY).
    pub fn open(
        dir: &std::path::Path,
        credentials: Option<&std::path::Path>,
    ) -> Result<Self, MemoryError> {
        let opened = Store::open(dir)?;
        let vault = Vault::open(dir, credentials)?;
        Ok(Memory {
            store: opened.store,
            vault,
            notices: opened.notices,
        })
    }
}

/// All that is shown of a key: "ends …x7Qd, saved Tuesday, not used yet".
pub fn fingerprint(slot: &SlotInfo, now_ms: i64) -> String {
    let ends = match slot.tail.as_str() {
        "" => "too short to show its end".to_owned(),
        tail => format!("ends …{tail}"),
    };
    let used = match &slot.used {
        Some((session, _)) => format!("used for {session}"),
        None => "not used yet".to_owned(),
    };
    format!("{ends}, saved {}, {used}", day(slot.saved_ms, now_ms))
}

/// A day as people say it: today, a weekday of this week, or a date.
fn day(at_ms: i64, now_ms: i64) -> String {
    let zone = jiff::tz::TimeZone::system();
    let date = |ms: i64| {
        let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
        at.to_zoned(zone.clone()).date()
    };
    let (at, now) = (date(at_ms), date(now_ms));
    let days = at.until(now).map_or(0, |span| span.get_days());
    match days {
        0 => "today".to_owned(),
        1..=6 => at.strftime("%A").to_string(),
        _ => at.strftime("%-d %B %Y").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints() {
        let slot = |tail: &str, used| SlotInfo {
            name: "main".into(),
            tail: tail.into(),
            // A Tuesday, at noon.
            saved_ms: 1_785_844_800_000,
            settings: SlotSettings::default(),
            mark: KeyMark::new([0; 32]),
            used,
        };
        let day = 86_400_000;
        let said = |slot: &SlotInfo, after: i64| fingerprint(slot, slot.saved_ms + after * day);
        let fresh = slot("x7Qd", None);
        assert_eq!(said(&fresh, 0), "ends …x7Qd, saved today, not used yet");
        assert_eq!(said(&fresh, 3), "ends …x7Qd, saved Tuesday, not used yet");
        let used = slot("", Some(("20260804-190000".into(), 0)));
        assert_eq!(
            said(&used, 30),
            "too short to show its end, saved 4 August 2026, used for 20260804-190000"
        );
    }
}
