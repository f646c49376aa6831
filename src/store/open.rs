//! Opening: what can be wrong with a state directory, each with its text, and what is done about it.

use super::Store;
use super::schema::STEPS;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "regia.db";
/// SQLite's own files beside it.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What the operator is told when the disk is full and there is a state to go on with.
pub const OPEN_TEXT_FULL: &str = "the disk of the state directory is full: Regia goes on, but its log, and what a restart \
                                  would need, are not kept; make room";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the state in {} was written by a newer Regia (its version is {theirs}, this one knows {ours}): install that one again, or give this one another --state",
        path.display()
    )]
    Newer {
        path: PathBuf,
        theirs: usize,
        ours: usize,
    },
    #[error("the state in {} can't be written to: it is read-only, or belongs to another user; make it writable, or give another --state", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the disk of the state directory {} is full: make room, or give another --state", path.display())]
    Full { path: PathBuf },
    #[error("another regia already uses the state directory {}; stop it, or give this one its own --state", path.display())]
    InUse { path: PathBuf },
    #[error("the state in {} can't be used: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("the state in {} can't be used: {error}", path.display())]
    Sqlite {
        path: PathBuf,
        error: rusqlite::Error,
    },
    #[error("the store failed: {0}")]
    Failed(#[from] rusqlite::Error),
    #[error("the store is closed")]
    Gone,
}

/// A store that can be used, and what the operator should know of how it came to be.
pub struct Opened {
    pub store: Store,
    pub notices: Vec<String>,
}

/// A connection that is ready, and notices.
pub(super) fn open(dir: &Path) -> Result<(Connection, Vec<String>), StoreError> {
    let path = dir.join(FILE);
    let mut notices = Vec::new();
    let existed = path.exists();
    match connect(&path) {
        Ok(connection) => Ok((connection, notices)),
        Err(StoreError::Sqlite { error, .. }) if is_corrupt(&error) => {
            let aside = set_aside(&path).map_err(|error| StoreError::Io {
                path: path.clone(),
                error,
            })?;
            notices.push(format!(
                "the state in {} is damaged ({error}); it was put aside as {} and a new one begun: key slots must be saved again",
                path.display(),
                aside.display()
            ));
            Ok((connect(&path)?, notices))
        }
        // A broadcast that was under way is worth more than a log of it.
        Err(StoreError::Full { .. }) if existed => {
            notices.push(OPEN_TEXT_FULL.to_owned());
            Ok((connect_without_writing(&path)?, notices))
        }
        Err(error) => Err(error),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let failed = |error| explain(path, error);
    create(path)?;
    let mut connection = plain(path)?;
    migrate(path, &mut connection)?;
    // The tables that decide anything; damage to the log alone stops nobody.
    for table in ["session", "slot", "used_key", "show", "show_run"] {
        let verdict: String = connection
            .query_row(&format!("PRAGMA quick_check('{table}')"), [], |row| {
                row.get(0)
            })
            .map_err(failed)?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            let error = rusqlite::Error::SqliteFailure(code, Some(verdict));
            return Err(explain(path, error));
        }
    }
    try_to_write(path, &connection)?;
    Ok(connection)
}

fn connect_without_writing(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = plain(path)?;
    migrate(path, &mut connection)?;
    Ok(connection)
}

fn plain(path: &Path) -> Result<Connection, StoreError> {
    let failed = |error| explain(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    // The one that was here before may be in its last moment.
    connection.busy_timeout(LOCK_WAIT).map_err(failed)?;
    // The lock first: WAL then needs no shared memory, which on a full disk could not be made.
    connection
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA secure_delete = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA journal_size_limit = 4194304;",
        )
        .map_err(failed)?;
    Ok(connection)
}

/// For this user alone: SQLite gives its other files the same mode.
fn create(path: &Path) -> Result<(), StoreError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                StoreError::ReadOnly { path: dir_of(path) }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full { path: dir_of(path) }
            }
            _ => StoreError::Io {
                path: path.to_owned(),
                error,
            },
        })
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |error| explain(path, error);
    let version: u32 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    let version = version as usize;
    if version > STEPS.len() {
        return Err(StoreError::Newer {
            path: dir_of(path),
            theirs: version,
            ours: STEPS.len(),
        });
    }
    for (from, step) in STEPS.iter().enumerate().skip(version) {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(step).map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", from as i64 + 1)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

/// Only a write shows that one is possible; this one takes a page, and gives it back.
fn try_to_write(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    connection
        .execute_batch(
            "BEGIN IMMEDIATE;
             CREATE TABLE room (bytes BLOB);
             INSERT INTO room VALUES (zeroblob(16384));
             DROP TABLE room;
             COMMIT;",
        )
        .map_err(|error| {
            let error = explain(path, error);
            // It may have been rolled back already.
            let _ = connection.execute_batch("ROLLBACK");
            error
        })
}

fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly { path: dir_of(path) }
        }
        Some(ErrorCode::DiskFull) => StoreError::Full { path: dir_of(path) },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::InUse { path: dir_of(path) }
        }
        _ => StoreError::Sqlite {
            path: dir_of(path),
            error,
        },
    }
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// The damaged files under another name, for whoever wants to save what can be saved.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let with = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = with(path, &format!(".damaged-{stamp}"));
    std::fs::rename(path, &aside)?;
    for companion in COMPANIONS {
        match std::fs::rename(with(path, companion), with(&aside, companion)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

fn dir_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dir: &Path) -> String {
        open(dir).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_newer_store_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let connection = Connection::open(dir.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", 70).unwrap();
        drop(connection);
        assert_eq!(
            text(dir.path()),
            format!(
                "the state in {} was written by a newer Regia (its version is 70, this one knows {}): install that one again, or give this one another --state",
                dir.path().display(),
                STEPS.len()
            )
        );
    }

    /// Every version that was released opens, with what was in it.
    #[test]
    fn an_older_store_is_brought_up_to_date() {
        for version in 1..STEPS.len() {
            let dir = tempfile::tempdir().unwrap();
            let old = Connection::open(dir.path().join(FILE)).unwrap();
            for step in &STEPS[..version] {
                old.execute_batch(step).unwrap();
            }
            old.pragma_update(None, "user_version", version as i64)
                .unwrap();
            old.execute("INSERT INTO session VALUES ('kept', 0, NULL, '{}')", [])
                .unwrap();
            drop(old);
            let (new, notices) = open(dir.path()).unwrap();
            assert!(notices.is_empty(), "{notices:?}");
            let kept: String = new
                .query_row("SELECT id FROM session", [], |row| row.get(0))
                .unwrap();
            assert_eq!(kept, "kept");
            new.execute("INSERT INTO show VALUES ('a', '', 0)", [])
                .unwrap();
        }
    }

    #[test]
    fn two_at_a_time_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _held = open(dir.path()).unwrap();
        assert_eq!(
            text(dir.path()),
            format!(
                "another regia already uses the state directory {}; stop it, or give this one its own --state",
                dir.path().display()
            )
        );
    }

    #[test]
    fn what_is_damaged_is_put_aside_and_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), vec![0xa5; 20_000]).unwrap();
        let (_connection, notices) = open(dir.path()).unwrap();
        assert_eq!(notices.len(), 1);
        assert!(
            notices[0].contains("is damaged (file is not a database); it was put aside as"),
            "{notices:?}"
        );
        let kept = std::fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().contains("damaged"))
            .unwrap();
        assert_eq!(std::fs::read(kept.path()).unwrap(), vec![0xa5; 20_000]);
    }

    #[test]
    fn a_page_in_the_middle_that_is_damaged_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let (connection, _) = open(dir.path()).unwrap();
        // So many that the middle of the file is theirs.
        connection.execute_batch("BEGIN").unwrap();
        for n in 0..5_000 {
            connection
                .execute(
                    "INSERT INTO session VALUES (?1, 0, NULL, ?2)",
                    (format!("s{n}"), "x".repeat(100)),
                )
                .unwrap();
        }
        connection
            .execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        drop(connection);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2 / 4096 * 4096;
        bytes[middle..middle + 4096].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        let (_connection, notices) = open(dir.path()).unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
    }

    #[test]
    fn only_its_user_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let _open = open(dir.path()).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
        }
    }
}
