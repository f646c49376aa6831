//! The configuration through the API: looked at, checked, changed, taken back. Shell, around the pure `mask` and `edit`.
//!
//! The file is the truth: it is read anew for each request, since somebody may edit it by hand, and written whole or not at all. One
//! change at a time; each version before a change is kept in the state directory.

mod edit;
mod handlers;
mod mask;
mod versions;

pub use edit::KINDS;
pub use handlers::*;
pub use versions::Version;

use super::problem::Refused;
use crate::config::{self, ConfigErrors, Loaded, Panel, Severity};
use crate::session::{Applies, SessionHandle};
use axum::http::StatusCode;
use edit::EditError;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use similar::TextDiff;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use versions::Versions;

const LARGEST: u64 = 1024 * 1024;

#[derive(Clone)]
pub struct Configuration(Arc<Inner>);

struct Inner {
    path: PathBuf,
    versions: Versions,
    session: SessionHandle,
    /// As it is served.
    panel: Panel,
    /// Held over a change: reading, checking, writing, and the session's answer.
    one: Mutex<()>,
}

/// When a change holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum When {
    #[serde(rename = "now")]
    Now,
    #[serde(rename = "after the broadcast")]
    AfterTheBroadcast,
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    /// Warnings only: with a problem nothing is changed.
    pub problems: Vec<config::Problem>,
    /// What is other than before, as a unified diff.
    pub diff: String,
    pub applies: When,
    /// `[panel]` is other than what this daemon serves: that part holds when Regia is started again.
    pub panel_after_restart: bool,
    pub etag: String,
}

/// The file at one moment.
struct Current {
    text: String,
    etag: String,
}

impl Current {
    fn new(text: String) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        let hex: String = hash.as_ref()[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Current { text, etag: hex }
    }

    /// Whoever saw another version must look again.
    fn check(&self, if_match: Option<&str>) -> Result<(), Refused> {
        let Some(given) = if_match else {
            return Ok(());
        };
        let mut tags = given
            .split(',')
            .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
        if tags.any(|tag| tag == "*" || tag == self.etag) {
            return Ok(());
        }
        let text = "the configuration was changed since you looked: load it again, and make your change in that";
        Err(Refused::new(
            StatusCode::PRECONDITION_FAILED,
            "changed",
            text.to_owned(),
        ))
    }
}

impl Configuration {
    pub fn new(path: PathBuf, state: &Path, session: SessionHandle) -> Self {
        Configuration(Arc::new(Inner {
            path,
            versions: Versions::new(state),
            panel: session.settings().panel.clone(),
            session,
            one: Mutex::new(()),
        }))
    }

    fn file(&self) -> String {
        self.0.path.display().to_string()
    }

    async fn current(&self) -> Result<Current, Refused> {
        let path = self.0.path.clone();
        let read = blocking(move || {
            let about = std::fs::metadata(&path)?;
            if about.len() > LARGEST {
                return Err(std::io::Error::other("it is larger than a megabyte"));
            }
            std::fs::read_to_string(&path)
        });
        read.await.map(Current::new).map_err(|error| {
            let text = format!("the configuration {} can't be read: {error}", self.file());
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "config-unreadable", text)
        })
    }

    /// What the reader says of a text. It looks at devices and files.
    async fn read(&self, text: String) -> Result<Loaded, ConfigErrors> {
        let file = self.file();
        let read = move || config::parse(&text, &file, &config::System);
        let mut outcome = blocking(read).await;
        let all = match &mut outcome {
            Ok(loaded) => &mut loaded.warnings,
            Err(errors) => &mut errors.problems,
        };
        // A path of the box is nobody's business who looks at it from afar.
        for problem in all {
            problem.file = "regia.toml".to_owned();
        }
        outcome
    }

    fn diff(before: &str, after: &str) -> String {
        let (before, after) = (mask::mask(before), mask::mask(after));
        TextDiff::from_lines(&before, &after)
            .unified_diff()
            .context_radius(2)
            .to_string()
    }

    /// Secrets that are shown as dots are what they were.
    fn unmasked(shown: &str, current: &Current) -> Result<String, Refused> {
        mask::unmask(shown, &current.text).map_err(|lost| {
            let text = format!(
                "{} is shown as dots, and nothing was there before: write it again",
                lost.join(", ")
            );
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "dots", text)
        })
    }

    /// Puts another text in the file's place, and has the session take it.
    async fn change(
        &self,
        if_match: Option<&str>,
        new: impl FnOnce(&Current) -> Result<String, Refused>,
    ) -> Result<Changed, Refused> {
        let _one = self.0.one.lock().await;
        let current = self.current().await?;
        current.check(if_match)?;
        let text = new(&current)?;
        let loaded = self.read(text.clone()).await.map_err(|errors| {
            let found = errors.problems.iter();
            let problems = found.filter(|p| p.severity == Severity::Problem).count();
            let title = match errors
                .problems
                .iter()
                .find(|p| p.severity == Severity::Problem)
            {
                Some(first) if problems == 1 => format!("nothing was changed: {first}"),
                Some(first) => {
                    format!("nothing was changed: {problems} problems, the first: {first}")
                }
                None => "nothing was changed: the configuration can't be used".to_owned(),
            };
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "config", title)
                .because_of(&errors.problems)
        })?;
        let diff = Self::diff(&current.text, &text);
        let after = Current::new(text);
        if after.etag != current.etag {
            self.write(current.text, after.text.clone()).await?;
        }
        let panel_after_restart = loaded.settings.panel != self.0.panel;
        let applies = self.0.session.reload(loaded.settings).await;
        let applies = match applies.map_err(super::api::session_refused)? {
            Applies::Now => When::Now,
            Applies::AfterTheBroadcast => When::AfterTheBroadcast,
        };
        Ok(Changed {
            problems: loaded.warnings,
            diff,
            applies,
            panel_after_restart,
            etag: after.etag,
        })
    }

    async fn write(&self, before: String, after: String) -> Result<(), Refused> {
        let (path, versions) = (self.0.path.clone(), self.0.versions.clone());
        let write = move || {
            versions.keep(&before)?;
            versions::replace(&path, &after)
        };
        blocking(write).await.map_err(|error| {
            let text = format!(
                "the configuration {} can't be written ({error}): it must belong to the user that Regia runs as, and so must its directory",
                self.file()
            );
            Refused::conflict("config-unwritable", text)
        })
    }
}

impl From<EditError> for Refused {
    fn from(error: EditError) -> Self {
        let (status, code) = match &error {
            EditError::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown-entry"),
            EditError::Taken { .. } => (StatusCode::CONFLICT, "entry-exists"),
            EditError::NotToml(_) | EditError::NotAList(_) => (StatusCode::CONFLICT, "not-toml"),
            EditError::Null(_) | EditError::Number(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "bad-body")
            }
            EditError::Dots(_) => (StatusCode::UNPROCESSABLE_ENTITY, "dots"),
        };
        Refused::new(status, code, error.to_string())
    }
}

/// A panic in it is one of ours.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
