//! What may be shown of a destination's key, and whether it can be used. Shell: it asks the store.

use super::measured::Key;
use crate::config::{Destination, StreamKey};
use crate::session::keys::{KeyError, Keyring, fingerprint};
use crate::session::{clock, keys};
use crate::store::SlotError;

/// `occurrence`: of a show, if it is one that starts.
pub async fn look_up(
    keyring: &Keyring,
    destination: &Destination,
    occurrence: Option<&str>,
) -> Key {
    let found = match keyring.resolve(destination, occurrence).await {
        Ok((found, _)) => found.first,
        Err(error) => return Key::Missing(missing(&error)),
    };
    let fingerprint = match &destination.key {
        StreamKey::Given(key) if key.expose().trim().is_empty() => {
            return Key::Missing("there is none; give key_file, key_env or key_secret".to_owned());
        }
        StreamKey::Given(key) => tail(key.expose().trim()),
        StreamKey::Slot(name) => {
            let slots = keyring.list().await.unwrap_or_default();
            let slot = slots.iter().find(|slot| slot.name == *name);
            slot.map_or_else(
                || "in its slot".to_owned(),
                |slot| fingerprint(slot, clock::wall_ms()),
            )
        }
    };
    Key::Found {
        fingerprint,
        single_use: found.single_use && !keys::is_single_use(destination),
        used_in: found.used_in.map(|session| session.to_string()),
    }
}

/// With what to do behind a semicolon.
fn missing(error: &KeyError) -> String {
    match error {
        KeyError::Slot {
            error: SlotError::Empty,
            ..
        } => "there is none in its slot; save one with `regia key set`".to_owned(),
        error => error.to_string(),
    }
}

/// A key's last characters, at most four and at most a third of it: enough to tell two apart, of no use to a thief.
fn tail(key: &str) -> String {
    let letters = key.chars().count();
    let shown = (letters / 3).min(4);
    let tail: String = key.chars().skip(letters - shown).collect();
    format!("ends …{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_of_a_key_is_shown() {
        assert_eq!(tail("abcd-efgh-ijkl-x7Qd"), "ends …x7Qd");
        assert_eq!(tail("secret"), "ends …et");
        assert_eq!(tail("ab"), "ends …");
    }
}
