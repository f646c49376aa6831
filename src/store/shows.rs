//! Shows as they were saved, and how far their runs came. Rows of text that the schedule fills and reads.

use super::{Job, Store, StoreError};
use rusqlite::{Connection, OptionalExtension, Row};
use tracing::warn;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowRow {
    pub id: String,
    /// As somebody wrote it.
    pub text: String,
    pub saved_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    pub occurrence: String,
    pub show: String,
    pub start_ms: i64,
    /// None: under way.
    pub ended_ms: Option<i64>,
    /// What a restart needs, as JSON.
    pub snapshot: String,
}

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        occurrence: row.get(0)?,
        show: row.get(1)?,
        start_ms: row.get(2)?,
        ended_ms: row.get(3)?,
        snapshot: row.get(4)?,
    })
}

fn write_run(connection: &Connection, row: &RunRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO show_run (occurrence, show, start_ms, ended_ms, snapshot) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (occurrence) DO UPDATE SET ended_ms = ?4, snapshot = ?5",
        )?
        .execute((&row.occurrence, &row.show, row.start_ms, row.ended_ms, &row.snapshot))
        .map(drop)
}

impl Store {
    pub async fn shows(&self) -> Result<Vec<ShowRow>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached("SELECT id, text, saved_ms FROM show ORDER BY id")?
                .query_map([], |row| {
                    Ok(ShowRow {
                        id: row.get(0)?,
                        text: row.get(1)?,
                        saved_ms: row.get(2)?,
                    })
                })?
                .collect()
        })
        .await
    }

    /// All of them or none, each in place of the one with its id.
    pub async fn save_shows(&self, rows: Vec<ShowRow>) -> Result<(), StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            for row in rows {
                transaction
                    .prepare_cached(
                        "INSERT INTO show (id, text, saved_ms) VALUES (?1, ?2, ?3)
                         ON CONFLICT (id) DO UPDATE SET text = ?2, saved_ms = ?3",
                    )?
                    .execute((row.id, row.text, row.saved_ms))?;
            }
            transaction.commit()
        })
        .await
    }

    /// False: there was none.
    pub async fn delete_show(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.call(move |connection| connection.execute("DELETE FROM show WHERE id = ?1", [id]))
            .await
            .map(|deleted| deleted > 0)
    }

    /// Makes a run's row, or renews it; returns when it is on the disk.
    pub async fn save_run(&self, row: RunRow) -> Result<(), StoreError> {
        self.call(move |connection| write_run(connection, &row))
            .await
    }

    /// The same, in its order and without waiting.
    pub fn save_run_soon(&self, row: RunRow) {
        let call = Box::new(move |connection: &mut Connection| {
            if let Err(error) = write_run(connection, &row) {
                warn!(%error, "the run can't be written down; it goes on, but a restart may not");
            }
        });
        // The thread ends only after every handle.
        let _ = self.jobs.send(Job::Call(call));
    }

    /// Runs that were under way when the process before this one ended, the newest first.
    pub async fn unfinished_runs(&self) -> Result<Vec<RunRow>, StoreError> {
        self.call(|connection| {
            connection
                .prepare_cached(
                    "SELECT occurrence, show, start_ms, ended_ms, snapshot FROM show_run
                     WHERE ended_ms IS NULL ORDER BY start_ms DESC",
                )?
                .query_map([], run_row)?
                .collect()
        })
        .await
    }

    /// Occurrences that were run, or given up, and that began at `since_ms` or later.
    pub async fn past_runs(&self, since_ms: i64) -> Result<Vec<String>, StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT occurrence FROM show_run WHERE start_ms >= ?1")?
                .query_map([since_ms], |row| row.get(0))?
                .collect()
        })
        .await
    }

    /// Of what people were told about occurrences, as pairs of occurrence and word.
    pub async fn told(&self, since_ms: i64) -> Result<Vec<(String, String)>, StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT occurrence, what FROM show_told WHERE at_ms >= ?1")?
                .query_map([since_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    /// Of what people were told this word for, and when, in ms since 1970.
    pub async fn when_told(&self, what: &'static str) -> Result<Vec<(String, i64)>, StoreError> {
        self.call(move |connection| {
            connection
                .prepare_cached("SELECT occurrence, at_ms FROM show_told WHERE what = ?1")?
                .query_map([what], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    pub async fn tell(
        &self,
        occurrence: String,
        what: &'static str,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection
                .execute(
                    "INSERT OR IGNORE INTO show_told (occurrence, what, at_ms) VALUES (?1, ?2, ?3)",
                    (occurrence, what, at_ms),
                )
                .map(drop)
        })
        .await
    }

    /// The calendar's token by its hash; the one before is good no more.
    pub async fn save_feed_token(&self, hash: Vec<u8>, made_ms: i64) -> Result<(), StoreError> {
        self.call(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM feed_token", [])?;
            transaction.execute(
                "INSERT INTO feed_token (hash, made_ms) VALUES (?1, ?2)",
                (hash, made_ms),
            )?;
            transaction.commit()
        })
        .await
    }

    pub async fn feed_token(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(|connection| {
            connection
                .query_row("SELECT hash FROM feed_token", [], |row| row.get(0))
                .optional()
        })
        .await
    }
}
