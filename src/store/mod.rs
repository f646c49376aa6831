//! What outlives the process: SQLite in the state directory. Shell.
//!
//! One thread owns the connection. Writes of the journal are posted and never waited for, so that a slow or full disk
//! costs a broadcast nothing; what can't be written is kept for a while and tried again. Everything else is a closure
//! that the thread runs. WAL with `synchronous = FULL`: what was committed survives a power cut. The connection holds
//! the file's lock for good, so that no two daemons share a state.

mod access;
mod journal;
mod open;
mod schema;
mod shows;
mod slots;
pub mod vault;

pub use access::{LoginRow, TokenRow, UserRow};
pub use journal::{EventRow, SessionRow, Write};
pub use open::{OPEN_TEXT_FULL, Opened, StoreError};
pub use shows::{RunRow, ShowRow};
pub use slots::{Slot, SlotError, SlotInfo, SlotSettings, check_name};
pub use vault::{KeyMark, Vault, VaultError};

use journal::Backlog;
use rusqlite::Connection;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long what could not be written waits until it is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Writes of one transaction: more would keep a caller waiting behind them.
const BATCH: usize = 500;

type Call = Box<dyn FnOnce(&mut Connection) + Send>;

enum Job {
    Write(Write),
    Call(Call),
}

/// A handle; cloning makes another. The file is closed when the last is gone.
#[derive(Clone)]
pub struct Store {
    jobs: Sender<Job>,
}

impl Store {
    /// Opens the store of a state directory, which exists; makes it if there is none, and brings an older one up to date.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        let (connection, notices) = open::open(dir)?;
        let (jobs, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || serve(connection, &inbox))
            .map_err(|error| StoreError::Io {
                path: dir.to_owned(),
                error,
            })?;
        Ok(Opened {
            store: Store { jobs },
            notices,
        })
    }

    /// Hands a write to the thread; never waits, never fails.
    pub fn post(&self, write: Write) {
        // The thread ends only after every handle.
        let _ = self.jobs.send(Job::Write(write));
    }

    /// Runs `work` on the connection, behind everything posted before.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(move |connection: &mut Connection| {
            // Whoever asked may have gone.
            let _ = reply.send(work(connection));
        });
        self.jobs
            .send(Job::Call(call))
            .map_err(|_| StoreError::Gone)?;
        answer
            .await
            .map_err(|_| StoreError::Gone)?
            .map_err(StoreError::from)
    }

    /// Returns when everything posted before has been tried.
    pub async fn flush(&self) {
        // A store that is gone has nothing left to write.
        let _ = self.call(|_| Ok(())).await;
    }
}

fn serve(mut connection: Connection, inbox: &Receiver<Job>) {
    let mut backlog = Backlog::default();
    loop {
        let job = if backlog.is_empty() {
            inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            inbox.recv_timeout(RETRY)
        };
        match job {
            Ok(Job::Call(call)) => call(&mut connection),
            Ok(Job::Write(write)) => {
                backlog.push(write);
                let call = gather(inbox, &mut backlog);
                backlog.write(&mut connection);
                if let Some(call) = call {
                    call(&mut connection);
                }
            }
            Err(RecvTimeoutError::Timeout) => backlog.write(&mut connection),
            Err(RecvTimeoutError::Disconnected) => {
                backlog.write(&mut connection);
                return;
            }
        }
    }
}

/// Further writes that wait already share the transaction; what must come behind them is given back.
fn gather(inbox: &Receiver<Job>, backlog: &mut Backlog) -> Option<Call> {
    for _ in 0..BATCH {
        match inbox.try_recv() {
            Ok(Job::Write(write)) => backlog.push(write),
            Ok(Job::Call(call)) => return Some(call),
            Err(_) => return None,
        }
    }
    None
}
