//! A machine as a test describes it.

use regia::config::{Environment, Look};
use std::path::{Path, PathBuf};

pub struct Machine {
    /// Whatever a path names is there and as it should be.
    generous: bool,
}

impl Machine {
    /// A box at a venue: two cameras, wired and mobile network, 8 GB of memory, some files in /etc/regia.
    pub fn venue() -> Self {
        Machine { generous: false }
    }

    /// A box on which every file, device and variable of an example is there.
    pub fn with_everything() -> Self {
        Machine { generous: true }
    }
}

const CLOSED: Look = Look::File {
    mode: 0o600,
    readable: true,
};

impl Environment for Machine {
    fn look(&self, path: &Path) -> Look {
        let path = path.to_str().unwrap_or_default();
        match path {
            "/dev/video0" | "/dev/video1" => Look::CharDevice { readable: true },
            path if self.generous && path.ends_with("recordings") => {
                Look::Directory { writable: true }
            }
            path if self.generous && path.ends_with("lights") => Look::File {
                mode: 0o755,
                readable: true,
            },
            _ if self.generous => CLOSED,
            "/etc/regia/recordings" => Look::Directory { writable: true },
            "/readonly" => Look::Directory { writable: false },
            "/etc/regia/stream.key" | "/etc/regia/clips/opener.mp4" => CLOSED,
            "/etc/regia/open.key" => Look::File {
                mode: 0o644,
                readable: true,
            },
            "/etc/regia/locked.key" => Look::File {
                mode: 0o600,
                readable: false,
            },
            _ => Look::Missing,
        }
    }

    fn read(&self, path: &Path) -> Result<String, String> {
        if path.ends_with("locked.key") {
            return Err("Permission denied (os error 13)".to_owned());
        }
        if path.extension().is_some_and(|extension| extension == "url") {
            return Ok("https://example.org/hook\n".to_owned());
        }
        Ok("Xq7vT2mNzR4w\n".to_owned())
    }

    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "STREAM_KEY" => Some("Xq7vT2mNzR4w".to_owned()),
            "NEXT_KEY" => Some("nextkey".to_owned()),
            _ => None,
        }
    }

    fn interfaces(&self) -> Option<Vec<String>> {
        Some(["eth0", "lo", "wwan0"].map(str::to_owned).to_vec())
    }

    fn video_devices(&self) -> Vec<PathBuf> {
        ["/dev/video0", "/dev/video1"].map(PathBuf::from).to_vec()
    }

    fn memory_bytes(&self) -> Option<u64> {
        Some(8_000_000_000)
    }
}
