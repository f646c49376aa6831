//! The configuration's file and its versions before each change. Shell.

use serde::Serialize;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use utoipa::ToSchema;

const DIR: &str = "config-versions";
/// The oldest go.
const MOST: usize = 100;

/// A text that the configuration had.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Version {
    pub number: u64,
    /// When it was replaced.
    pub replaced_ms: i64,
    pub bytes: u64,
}

#[derive(Clone)]
pub struct Versions(PathBuf);

impl Versions {
    pub fn new(state: &Path) -> Self {
        Versions(state.join(DIR))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:08}.toml"))
    }

    /// The newest first.
    pub fn list(&self) -> io::Result<Vec<Version>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut versions = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_suffix(".toml")?.parse().ok());
            let Some(number) = number else { continue };
            let about = entry.metadata()?;
            let replaced = about.modified()?.duration_since(std::time::UNIX_EPOCH);
            versions.push(Version {
                number,
                replaced_ms: replaced.map_or(0, |since| since.as_millis() as i64),
                bytes: about.len(),
            });
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        Ok(versions)
    }

    /// Keeps a text as the newest version.
    pub fn keep(&self, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))?;
        let known = self.list()?;
        let number = known.first().map_or(1, |newest| newest.number + 1);
        for old in known.iter().skip(MOST - 1) {
            fs::remove_file(self.path(old.number))?;
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(self.path(number))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// The text before the newest change; None: there was no change.
    pub fn newest(&self) -> io::Result<Option<String>> {
        match self.list()?.first() {
            Some(newest) => fs::read_to_string(self.path(newest.number)).map(Some),
            None => Ok(None),
        }
    }
}

/// Puts a text in the file's place: after a power cut there is the one or the other. Mode and owner stay.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path)?;
    let about = fs::metadata(&path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::Builder::new()
        .prefix(".regia-")
        .tempfile_in(dir)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(about.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&path).map_err(|error| error.error)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let versions = Versions::new(dir.path());
        assert!(versions.newest().unwrap().is_none());
        for n in 0..MOST + 5 {
            versions.keep(&format!("version {n}")).unwrap();
        }
        let list = versions.list().unwrap();
        assert_eq!(list.len(), MOST);
        assert_eq!(list[0].number, (MOST + 5) as u64);
        assert_eq!(
            versions.newest().unwrap().unwrap(),
            format!("version {}", MOST + 4)
        );
        let mode = fs::metadata(versions.path(50))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("real.toml"), dir.path().join("regia.toml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }
}
