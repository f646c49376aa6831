//! What happened, and what a restart needs to go on: rows of text that the session fills and reads.

use super::vault::KeyMark;
use super::{Store, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tracing::warn;

/// What waits for a disk that takes nothing; at a line a second, hours.
const MOST_WAITING: usize = 20_000;
/// The same trouble is told again after this long.
const REPEAT_WARNING: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    pub at_ms: i64,
    pub session: Option<String>,
    /// The event's word, to leave some out.
    pub kind: String,
    /// The whole entry as JSON.
    pub entry: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    pub id: String,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    /// What a restart needs, as JSON.
    pub snapshot: String,
}

/// A write that nobody waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Event(EventRow),
    /// Makes the session's row, or renews it.
    Session(SessionRow),
    /// A key that serves for one broadcast was published with. The first use counts.
    KeyUsed {
        mark: KeyMark,
        session: String,
        used_ms: i64,
    },
}

/// Writes in their order, until the disk has taken them.
#[derive(Default)]
pub(super) struct Backlog {
    writes: VecDeque<Write>,
    lost: u64,
    warned: Option<Instant>,
}

impl Backlog {
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub fn push(&mut self, write: Write) {
        // Only a session's newest row counts.
        if let Write::Session(row) = &write {
            self.writes
                .retain(|other| !matches!(other, Write::Session(other) if other.id == row.id));
        }
        if self.writes.len() >= MOST_WAITING {
            // The log's oldest lines are what is missed least; what decides things is small, and kept.
            let oldest = self
                .writes
                .iter()
                .position(|write| matches!(write, Write::Event(_)));
            if let Some(oldest) = oldest {
                self.writes.remove(oldest);
                self.lost += 1;
            }
        }
        self.writes.push_back(write);
    }

    /// All or nothing, in one transaction.
    pub fn write(&mut self, connection: &mut Connection) {
        if self.writes.is_empty() {
            return;
        }
        match write_all(connection, &self.writes) {
            Ok(()) => {
                if self.warned.take().is_some() {
                    warn!(lost = self.lost, "the log is kept again");
                }
                self.writes.clear();
                self.lost = 0;
            }
            Err(error) => self.warn(&error),
        }
    }

    fn warn(&mut self, error: &rusqlite::Error) {
        let just_told = self
            .warned
            .is_some_and(|warned| warned.elapsed() < REPEAT_WARNING);
        if !just_told {
            self.warned = Some(Instant::now());
            warn!(%error, waiting = self.writes.len(), "the log can't be written; the broadcast goes on, and it is tried again");
        }
    }
}

fn write_all(connection: &mut Connection, writes: &VecDeque<Write>) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for write in writes {
        write_one(&transaction, write)?;
    }
    transaction.commit()
}

fn write_one(transaction: &Transaction<'_>, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Event(row) => transaction
            .prepare_cached(
                "INSERT INTO event (at_ms, session, kind, entry) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((row.at_ms, &row.session, &row.kind, &row.entry)),
        Write::Session(row) => transaction
            .prepare_cached(
                "INSERT INTO session (id, started_ms, ended_ms, snapshot) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET ended_ms = ?3, snapshot = ?4",
            )?
            .execute((&row.id, row.started_ms, row.ended_ms, &row.snapshot)),
        Write::KeyUsed {
            mark,
            session,
            used_ms,
        } => transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO used_key (mark, session, used_ms) VALUES (?1, ?2, ?3)",
            )?
            .execute((mark.as_bytes(), session, used_ms)),
    }
    .map(drop)
}

const SESSION_COLUMNS: &str = "id, started_ms, ended_ms, snapshot";

fn session_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        id: row.get(0)?,
        started_ms: row.get(1)?,
        ended_ms: row.get(2)?,
        snapshot: row.get(3)?,
    })
}

impl Store {
    /// The session that was under way when the process before this one ended, if there is one: the newest.
    pub async fn unfinished(&self) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!(
            "SELECT {SESSION_COLUMNS} FROM session WHERE ended_ms IS NULL ORDER BY started_ms DESC LIMIT 1"
        );
        self.call(move |connection| connection.query_row(&sql, [], session_row).optional())
            .await
    }

    /// The newest first.
    pub async fn sessions(&self, most: u32) -> Result<Vec<SessionRow>, StoreError> {
        let sql =
            format!("SELECT {SESSION_COLUMNS} FROM session ORDER BY started_ms DESC LIMIT ?1");
        self.call(move |connection| {
            connection
                .prepare_cached(&sql)?
                .query_map([most], session_row)?
                .collect()
        })
        .await
    }

    /// A session's entries as JSON, oldest first. With `samples`, the curves as well.
    pub async fn entries(&self, session: String, samples: bool) -> Result<Vec<String>, StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached(
                    "SELECT entry FROM event WHERE session = ?1 AND (?2 OR kind != 'sample') ORDER BY number",
                )?
                .query_map((session, samples), |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// The newest entries of all sessions and of none, oldest first, without samples.
    pub async fn newest_entries(&self, most: u32) -> Result<Vec<String>, StoreError> {
        self.call(move |connection| {
            let mut entries = connection
                .prepare_cached(
                    "SELECT entry FROM event WHERE kind != 'sample' ORDER BY number DESC LIMIT ?1",
                )?
                .query_map([most], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<String>>>()?;
            entries.reverse();
            Ok(entries)
        })
        .await
    }

    /// In which session, and when, a key was used.
    pub async fn key_used(&self, mark: KeyMark) -> Result<Option<(String, i64)>, StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT session, used_ms FROM used_key WHERE mark = ?1")?
                .query_row([mark.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize) -> Write {
        Write::Event(EventRow {
            at_ms: n as i64,
            session: Some("one".into()),
            kind: if n.is_multiple_of(2) {
                "sample"
            } else {
                "marker"
            }
            .into(),
            entry: format!("{{\"n\":{n}}}"),
        })
    }

    fn session(ended_ms: Option<i64>, snapshot: &str) -> Write {
        Write::Session(SessionRow {
            id: "one".into(),
            started_ms: 5,
            ended_ms,
            snapshot: snapshot.into(),
        })
    }

    #[tokio::test]
    async fn what_was_posted_is_there_after_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Store::open(dir.path()).unwrap();
        assert_eq!(opened.notices, Vec::<String>::new());
        let store = opened.store;
        store.post(session(None, "first"));
        (0..4).for_each(|n| store.post(event(n)));
        store.post(session(None, "second"));
        store.flush().await;
        drop(store);
        let store = reopened(dir.path());
        let unfinished = store.unfinished().await.unwrap().unwrap();
        assert_eq!(
            (unfinished.snapshot.as_str(), unfinished.started_ms),
            ("second", 5)
        );
        assert_eq!(
            store.entries("one".into(), false).await.unwrap(),
            ["{\"n\":1}", "{\"n\":3}"]
        );
        assert_eq!(store.entries("one".into(), true).await.unwrap().len(), 4);
        assert_eq!(store.newest_entries(1).await.unwrap(), ["{\"n\":3}"]);
        store.post(session(Some(9), "third"));
        assert_eq!(store.unfinished().await.unwrap(), None);
        assert_eq!(store.sessions(5).await.unwrap()[0].ended_ms, Some(9));
    }

    /// The thread closes the file a moment after the last handle is gone.
    fn reopened(dir: &std::path::Path) -> Store {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            match Store::open(dir) {
                Ok(opened) => return opened.store,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_the_oldest_lines() {
        let mut backlog = Backlog::default();
        backlog.push(session(None, "a"));
        for n in 0..MOST_WAITING + 10 {
            backlog.push(event(n));
        }
        backlog.push(session(None, "b"));
        assert_eq!(backlog.writes.len(), MOST_WAITING);
        assert_eq!(backlog.lost, 11);
        assert_eq!(backlog.writes.back(), Some(&session(None, "b")));
    }
}
