//! What pre-flight may know of keys. Pure.

use super::measured::KeyState;
use crate::config::Destination;

/// Whoever keeps account of keys.
pub trait KeyBook: Send + Sync {
    fn look_up(&self, destination: &Destination) -> KeyState;
}

/// Keys of the configuration, of whose use nobody keeps account.
pub struct Configured;

impl KeyBook for Configured {
    fn look_up(&self, destination: &Destination) -> KeyState {
        match destination.key.expose().trim() {
            "" => KeyState::Missing("there is none; give key_file, key_env or key".to_owned()),
            key => KeyState::Given {
                fingerprint: fingerprint(key),
            },
        }
    }
}

/// A key's last characters, at most four and at most a third of it: enough to tell two apart, of no use to a thief.
fn fingerprint(key: &str) -> String {
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
        assert_eq!(fingerprint("abcd-efgh-ijkl-x7Qd"), "ends …x7Qd");
        assert_eq!(fingerprint("secret"), "ends …et");
        assert_eq!(fingerprint("ab"), "ends …");
    }
}
