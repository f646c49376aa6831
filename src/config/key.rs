//! Secrets of a configuration: written in it, in a file of their own, in an environment variable, or in a slot of the store. None is ever
//! quoted; nor is the name of a file or variable that isn't there, because a key pasted into the wrong line looks
//! exactly like one.

use super::environment::{Environment, Look};
use super::reader::Table;
use crate::secret::Secret;
use crate::store;
use std::path::Path;

/// The keys that may carry one secret.
pub(super) struct SecretKeys {
    pub plain: &'static str,
    pub file: &'static str,
    pub env: &'static str,
    /// A slot of the encrypted store; None where this kind of secret has no slots.
    pub store: Option<&'static str>,
    /// A stream key's white space at the ends is a slip of copying; a password's may be meant.
    pub trim: bool,
}

pub(super) const KEY: SecretKeys = SecretKeys {
    plain: "key",
    file: "key_file",
    env: "key_env",
    store: Some("key_secret"),
    trim: true,
};

pub(super) const ROLLOVER_KEY: SecretKeys = SecretKeys {
    plain: "rollover_key",
    file: "rollover_key_file",
    env: "rollover_key_env",
    store: Some("rollover_key_secret"),
    trim: true,
};

pub(super) const PASSWORD: SecretKeys = SecretKeys {
    plain: "password",
    file: "password_file",
    env: "password_env",
    store: None,
    trim: false,
};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    Absent,
    /// There, but of no use; that has been reported.
    Broken,
    Secret(Secret),
    /// A slot's name.
    Slot(String),
}

impl SecretKeys {
    /// Reads the secret and reports what is wrong with it. A relative file is looked for in `base`.
    pub fn read(&self, table: &Table<'_>, base: &Path, env: &dyn Environment) -> Given {
        let plain = table.string(self.plain, "…");
        let file = table.string(self.file, "/etc/regia/stream.key");
        let variable = table.string(self.env, "REGIA_STREAM_KEY");
        let slot = self.store.and_then(|key| table.string(key, "linkedin"));
        let there: Vec<&'static str> = [self.plain, self.file, self.env]
            .into_iter()
            .chain(self.store)
            .filter(|key| table.has(key))
            .collect();
        match there.as_slice() {
            [] => Given::Absent,
            [key] if Some(*key) == self.store => match slot {
                Some(name) if store::check_name(name).is_ok() => Given::Slot(name.to_owned()),
                Some(_) => {
                    let what = "is not the name of a key slot";
                    let instead = "letters, digits, - and _; `regia key set NAME` fills it";
                    table.problem(key, what, instead);
                    Given::Broken
                }
                None => Given::Broken,
            },
            [key] => {
                let text = if *key == self.plain {
                    plain.map(str::to_owned)
                } else if *key == self.file {
                    file.and_then(|file| self.read_file(table, &base.join(file), env))
                } else {
                    variable.and_then(|name| self.read_variable(table, name, env))
                };
                text.and_then(|text| self.clean(table, key, &text))
                    .map_or(Given::Broken, Given::Secret)
            }
            [first, .., last] => {
                let what = format!("there is {first} as well, so it is not clear which holds");
                table.problem(last, what, format!("keep one of {}", there.join(", ")));
                Given::Broken
            }
        }
    }

    fn read_file(&self, table: &Table<'_>, path: &Path, env: &dyn Environment) -> Option<String> {
        match env.look(path) {
            Look::File { mode, .. } if mode & 0o077 != 0 => {
                let shown = path.display();
                let what = format!("{shown} is open to others (mode {mode:04o})");
                table.warning(self.file, what, format!("chmod 600 {shown}"));
            }
            Look::File { .. } => {}
            Look::Missing => {
                let what = "the file it names does not exist";
                let instead = "a relative path starts at the configuration's directory; a file holds the key and nothing else";
                table.problem(self.file, what, instead);
                return None;
            }
            // Nothing else is read: a device or a pipe may never end.
            Look::Directory { .. } | Look::CharDevice { .. } | Look::Other => {
                let what = "what it names is not a regular file";
                table.problem(self.file, what, "a file holds the key and nothing else");
                return None;
            }
            // Reading it will say why.
            Look::Unknown(_) => {}
        }
        match env.read(path) {
            // Every editor ends a file with a newline: that is no slip.
            Ok(text) => Some(
                text.strip_suffix('\n')
                    .map_or(text.as_str(), |text| {
                        text.strip_suffix('\r').unwrap_or(text)
                    })
                    .to_owned(),
            ),
            Err(error) => {
                let what = format!("the file it names can't be read: {error}");
                let instead = "it must be readable for the user Regia runs as";
                table.problem(self.file, what, instead);
                None
            }
        }
    }

    fn read_variable(
        &self,
        table: &Table<'_>,
        name: &str,
        env: &dyn Environment,
    ) -> Option<String> {
        let value = env.variable(name);
        if value.is_none() {
            let what = "the environment variable it names is not set";
            let instead = "set it where Regia is started (systemd: EnvironmentFile=)";
            table.problem(self.env, what, instead);
        }
        value
    }

    fn clean(&self, table: &Table<'_>, key: &str, text: &str) -> Option<Secret> {
        let trimmed = if self.trim { text.trim() } else { text };
        if trimmed.is_empty() {
            table.problem(key, "is empty", "copy it again from the platform");
            return None;
        }
        if trimmed.chars().any(char::is_control)
            || (self.trim && trimmed.contains(char::is_whitespace))
        {
            let what = "has white space or a control character inside";
            table.problem(key, what, "copy it again from the platform");
            return None;
        }
        if trimmed.len() != text.len() {
            let what = "has white space around it, which Regia leaves away";
            table.warning(key, what, "take it out of the key");
        }
        Some(Secret::new(trimmed))
    }
}
