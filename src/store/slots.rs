//! Key slots: named places for stream keys. A key goes in, and comes out only to be published with.

use super::vault::{KeyMark, Vault, VaultError};
use super::{Store, StoreError};
use crate::secret::Secret;
use rusqlite::{OptionalExtension, Row};
use serde::{Deserialize, Serialize};

/// A slot's name, in every text that holds one: short, and safe in a path, a URL and a log.
const NAME_MAX: usize = 64;
const KEY_MAX: usize = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    #[error("a slot's name has letters, digits, - and _, at most {NAME_MAX} of them")]
    BadName,
    // Without the name, which may be a key that was pasted there.
    #[error(
        "there is no key in that slot: `regia key set` saves one, `regia key list` shows what there is"
    )]
    Empty,
    #[error("the key is empty: copy it again from the platform")]
    EmptyKey,
    #[error(
        "the key has white space or a control character inside, or is too long: copy it again from the platform"
    )]
    BadKey,
    #[error("the key in that slot can't be used: {0}")]
    Vault(VaultError),
    #[error(transparent)]
    Master(VaultError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is said of a key when it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotSettings {
    /// It serves for one broadcast, whatever the platform.
    #[serde(default)]
    pub single_use: bool,
    /// The one occurrence of a recurring show that it is for.
    #[serde(default)]
    pub occurrence: Option<String>,
}

/// All that is ever shown of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotInfo {
    pub name: String,
    /// The key's last characters.
    pub tail: String,
    pub saved_ms: i64,
    pub settings: SlotSettings,
    pub mark: KeyMark,
    /// Of keys that serve once: the session, and when.
    pub used: Option<(String, i64)>,
}

/// A slot with its key.
#[derive(Clone, Debug)]
pub struct Slot {
    pub info: SlotInfo,
    pub key: Secret,
}

pub fn check_name(name: &str) -> Result<(), SlotError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
        return Err(SlotError::BadName);
    }
    Ok(())
}

/// At most four of the last characters, and at most a third of the key.
fn tail(key: &str) -> String {
    let letters = key.chars().count();
    key.chars()
        .skip(letters - (letters / 3).min(4))
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

const SELECT: &str =
    "SELECT name, tail, saved_ms, single_use, occurrence, slot.mark, used_key.session, used_key.used_ms, sealed
     FROM slot LEFT JOIN used_key ON used_key.mark = slot.mark";

fn info(row: &Row<'_>) -> rusqlite::Result<SlotInfo> {
    let used = match (row.get(6)?, row.get(7)?) {
        (Some(session), Some(at)) => Some((session, at)),
        _ => None,
    };
    Ok(SlotInfo {
        name: row.get(0)?,
        tail: row.get(1)?,
        saved_ms: row.get(2)?,
        settings: SlotSettings {
            single_use: row.get(3)?,
            occurrence: row.get(4)?,
        },
        mark: KeyMark::new(row.get(5)?),
        used,
    })
}

impl Store {
    /// Saves a key, in place of the one that was there.
    pub async fn save_key(
        &self,
        vault: &Vault,
        name: &str,
        key: &str,
        settings: SlotSettings,
        saved_ms: i64,
    ) -> Result<SlotInfo, SlotError> {
        check_name(name)?;
        let key = key.trim();
        if key.is_empty() {
            return Err(SlotError::EmptyKey);
        }
        if key.len() > KEY_MAX || key.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(SlotError::BadKey);
        }
        let tail = tail(key);
        let key = Secret::new(key);
        let sealed = vault.seal(name, &key).map_err(SlotError::Master)?;
        let mark = vault.mark(&key);
        let row = (
            name.to_owned(),
            sealed,
            mark.as_bytes().to_owned(),
            tail,
            saved_ms,
            settings.single_use,
            settings.occurrence,
        );
        self.call(move |connection| {
            connection.execute(
                "INSERT INTO slot (name, sealed, mark, tail, saved_ms, single_use, occurrence)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (name) DO UPDATE SET
                 sealed = ?2, mark = ?3, tail = ?4, saved_ms = ?5, single_use = ?6, occurrence = ?7",
                row,
            )
        })
        .await?;
        self.slot(name)
            .await?
            .map(|(info, _)| info)
            .ok_or_else(|| SlotError::Empty)
    }

    pub async fn slots(&self) -> Result<Vec<SlotInfo>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached(&format!("{SELECT} ORDER BY name"))?
                .query_map([], info)?
                .collect()
        })
        .await
    }

    /// The slot with its key, to publish with.
    pub async fn open_slot(&self, vault: &Vault, name: &str) -> Result<Slot, SlotError> {
        let found = self.slot(name).await?;
        let (info, sealed) = found.ok_or_else(|| SlotError::Empty)?;
        let key = vault.unseal(name, &sealed).map_err(SlotError::Vault)?;
        Ok(Slot { info, key })
    }

    async fn slot(&self, name: &str) -> Result<Option<(SlotInfo, Vec<u8>)>, StoreError> {
        let name = name.to_owned();
        self.call(move |connection| {
            connection
                .prepare_cached(&format!("{SELECT} WHERE name = ?1"))?
                .query_row([name], |row| Ok((info(row)?, row.get(8)?)))
                .optional()
        })
        .await
    }

    /// False: there was none. That its key was used stays known.
    pub async fn delete_slot(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.call(move |connection| connection.execute("DELETE FROM slot WHERE name = ?1", [name]))
            .await
            .map(|deleted| deleted > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Write;

    #[tokio::test]
    async fn a_slot_from_saving_to_deleting() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap().store;
        let vault = Vault::open(dir.path(), None).unwrap();
        let once = SlotSettings {
            single_use: true,
            occurrence: Some("friday/2026-08-07".into()),
        };
        let saved = store
            .save_key(&vault, "main", " abcd-efgh-x7Qd\n", once.clone(), 7)
            .await
            .unwrap();
        assert_eq!((saved.tail.as_str(), &saved.used), ("x7Qd", &None));
        assert_eq!(saved.settings, once);
        let slot = store.open_slot(&vault, "main").await.unwrap();
        assert_eq!(slot.key.expose(), "abcd-efgh-x7Qd");
        store.post(Write::KeyUsed {
            mark: saved.mark,
            session: "one".into(),
            used_ms: 9,
        });
        assert_eq!(
            store.slots().await.unwrap()[0].used,
            Some(("one".into(), 9))
        );
        assert!(store.delete_slot("main").await.unwrap());
        assert!(!store.delete_slot("main").await.unwrap());
        assert_eq!(
            store
                .open_slot(&vault, "main")
                .await
                .unwrap_err()
                .to_string(),
            "there is no key in that slot: `regia key set` saves one, `regia key list` shows what there is"
        );
        // The key, put into another slot, is still the one that was used.
        let again = store
            .save_key(
                &vault,
                "other",
                "abcd-efgh-x7Qd",
                SlotSettings::default(),
                8,
            )
            .await
            .unwrap();
        assert_eq!(again.used, Some(("one".into(), 9)));
        drop(store);
        for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(
                !bytes.windows(9).any(|w| w == b"abcd-efgh"),
                "{:?}",
                entry.path()
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap().store;
        let vault = Vault::open(dir.path(), None).unwrap();
        for (name, key, text) in [
            (
                "a/b",
                "x",
                "a slot's name has letters, digits, - and _, at most 64 of them",
            ),
            (
                "a",
                "  ",
                "the key is empty: copy it again from the platform",
            ),
            (
                "a",
                "x y",
                "the key has white space or a control character inside, or is too long: copy it again from the platform",
            ),
        ] {
            let refused = store
                .save_key(&vault, name, key, SlotSettings::default(), 0)
                .await
                .unwrap_err();
            assert_eq!(refused.to_string(), text);
        }
        assert_eq!(tail("abc"), "c");
        assert_eq!(tail("ab"), "");
    }
}
