//! What a configuration has to be compared with outside itself: files, devices, interfaces, memory. A trait, so that
//! the reading of a configuration is a function of its text and of what a test says the machine is like.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What there is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    Missing,
    /// A regular file with its permission bits.
    File {
        mode: u32,
        readable: bool,
    },
    Directory {
        writable: bool,
    },
    CharDevice {
        readable: bool,
    },
    /// A socket, a block device, …
    Other,
    /// It could not be looked at, and this is why.
    Unknown(String),
}

pub trait Environment {
    fn look(&self, path: &Path) -> Look;
    /// The text of a small file (a key).
    fn read(&self, path: &Path) -> Result<String, String>;
    fn variable(&self, name: &str) -> Option<String>;
    /// Names of the network interfaces, sorted; None when they can't be listed.
    fn interfaces(&self) -> Option<Vec<String>>;
    /// Paths of the video devices there are, for the operator to choose from.
    fn video_devices(&self) -> Vec<PathBuf>;
    /// The machine's memory, in bytes, if it is known.
    fn memory_bytes(&self) -> Option<u64>;
}

/// The machine Regia runs on.
pub struct System;

impl Environment for System {
    fn look(&self, path: &Path) -> Look {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Look::Missing,
            Err(error) => return Look::Unknown(error.to_string()),
        };
        let may = |how| nix::unistd::access(path, how).is_ok();
        let readable = may(nix::unistd::AccessFlags::R_OK);
        let kind = metadata.file_type();
        if kind.is_file() {
            let mode = metadata.permissions().mode() & 0o7777;
            Look::File { mode, readable }
        } else if kind.is_dir() {
            let needed = nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK;
            Look::Directory {
                writable: may(needed),
            }
        } else if kind.is_char_device() {
            Look::CharDevice { readable }
        } else {
            Look::Other
        }
    }

    fn read(&self, path: &Path) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn interfaces(&self) -> Option<Vec<String>> {
        Some(names_in(Path::new("/sys/class/net"), "")).filter(|names| !names.is_empty())
    }

    fn video_devices(&self) -> Vec<PathBuf> {
        let names = names_in(Path::new("/dev"), "video");
        names
            .into_iter()
            .map(|name| Path::new("/dev").join(name))
            .collect()
    }

    fn memory_bytes(&self) -> Option<u64> {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        meminfo(&text, "MemTotal")
    }
}

fn names_in(directory: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        // An interface is a link to its device; what is a plain file there (bonding_masters) is none.
        .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    names
}

/// A line of /proc/meminfo, in bytes.
pub(crate) fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line
        .trim_start_matches(':')
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "MemTotal:       24684092 kB\nMemFree:        14341908 kB\n";
        assert_eq!(meminfo(text, "MemTotal"), Some(24_684_092 * 1024));
        assert_eq!(meminfo(text, "MemAvailable"), None);
    }

    #[test]
    fn looks_at_real_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let expected = Look::File {
            mode: 0o640,
            readable: true,
        };
        assert_eq!(System.look(&file), expected);
        let expected = Look::Directory { writable: true };
        assert_eq!(System.look(directory.path()), expected);
        assert_eq!(System.look(&directory.path().join("none")), Look::Missing);
        let expected = Look::CharDevice { readable: true };
        assert_eq!(System.look(Path::new("/dev/null")), expected);
        assert!(System.interfaces().unwrap().contains(&"lo".to_owned()));
        assert!(System.memory_bytes().unwrap() > 1 << 20);
    }
}
