//! The process that runs apart, as the engine holds it.

use super::wire::Order;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Of its directory's name.
const PREFIX: &str = "regia-apart-";
const DIRECTORY: &str = "XDG_RUNTIME_DIR";

/// Takes the process's own directory away, for an engine that can't any more.
pub fn clear_up() {
    let directory = std::env::var_os(DIRECTORY).map(std::path::PathBuf::from);
    let is_ours = |directory: &std::path::PathBuf| {
        let name = directory.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(PREFIX))
    };
    if let Some(directory) = directory.filter(is_ours) {
        // The engine may have been faster.
        let _ = std::fs::remove_dir_all(directory);
    }
}

/// The process; killed when dropped.
pub struct Apart {
    pub child: Child,
    /// While this is open the process goes on. After the order nothing is said but to a screen, which is given its pictures.
    pub orders: Option<ChildStdin>,
    /// The web engine's sockets are in here.
    _directory: tempfile::TempDir,
}

impl Apart {
    pub fn open(order: &Order) -> std::io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("apart")
            // A headless box has neither a display nor a graphics card that is worth having.
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env(DIRECTORY, directory.path())
            .env("NO_AT_BRIDGE", "1")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut apart = Apart {
            orders: child.stdin.take(),
            child,
            _directory: directory,
        };
        if let Some(stdin) = &mut apart.orders {
            let mut line = serde_json::to_vec(order)?;
            line.push(b'\n');
            stdin.write_all(&line)?;
        }
        Ok(apart)
    }

    pub fn how_it_ended(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
