//! How panel and CLI act on the schedule. Shell.

use super::dry::{self, DryRun};
use super::listing::{Listed, Upcoming};
use super::run::{Command, View};
use super::service::Request;
use super::shelf::{Origin, ShowError};
use super::{feed, ical};
use crate::config::{ConfigErrors, Show, parse_show};
use crate::session::SessionHandle;
use crate::session::event::Who;
use crate::store::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A show whole: the text to edit, and what it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detail {
    pub origin: Origin,
    pub text: String,
    pub show: Option<Value>,
    pub problem: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    #[error("{0}")]
    Show(ConfigErrors),
    #[error("{0}")]
    Calendar(#[from] ical::ImportError),
    #[error(transparent)]
    Refused(#[from] ShowError),
}

/// Cloning makes another handle.
#[derive(Clone)]
pub struct Schedule {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) session: SessionHandle,
    pub(super) store: Option<Store>,
}

impl Schedule {
    /// All shows, by their ids.
    pub async fn list(&self) -> Result<Vec<Arc<Listed>>, ShowError> {
        self.ask(Request::List).await
    }

    pub async fn show(&self, id: String) -> Result<Detail, ShowError> {
        self.ask(|reply| Request::Detail { id, reply }).await?
    }

    pub async fn upcoming(&self, most: usize) -> Result<Vec<Upcoming>, ShowError> {
        self.ask(|reply| Request::Upcoming { most, reply }).await
    }

    /// The run under way, if one is.
    pub async fn running(&self) -> Result<Option<View>, ShowError> {
        self.ask(Request::Running).await
    }

    /// Saves a show from the text of its keys.
    pub async fn save(&self, text: &str, replace: bool) -> Result<String, SaveError> {
        let show = parse_show(text, "show", &self.session.settings()).map_err(SaveError::Show)?;
        let id = show.id.clone();
        self.save_all(vec![(show, text.to_owned())], replace)
            .await?;
        Ok(id)
    }

    /// The same from a JSON object.
    pub async fn save_value(&self, value: &Value, replace: bool) -> Result<String, SaveError> {
        let text =
            to_toml(value).map_err(|reason| ShowError::Broken("the show".to_owned(), reason))?;
        self.save(&text, replace).await
    }

    /// Saves what a calendar has, all or nothing: names what was saved, and what is to be known about it.
    pub async fn import(
        &self,
        text: &str,
        length: Option<std::time::Duration>,
        replace: bool,
    ) -> Result<ical::Imported, SaveError> {
        let imported = ical::import(text, length, &crate::calendar::zones::here())?;
        let mut shows = Vec::new();
        for value in &imported.shows {
            let text = to_toml(value)
                .map_err(|reason| ShowError::Broken("the calendar".to_owned(), reason))?;
            let show =
                parse_show(&text, "calendar", &self.session.settings()).map_err(SaveError::Show)?;
            shows.push((show, text));
        }
        self.save_all(shows, replace).await?;
        Ok(imported)
    }

    async fn save_all(&self, shows: Vec<(Show, String)>, replace: bool) -> Result<(), ShowError> {
        self.ask(|reply| Request::Save {
            shows,
            replace,
            reply,
        })
        .await?
    }

    pub async fn delete(&self, id: String) -> Result<(), ShowError> {
        self.ask(|reply| Request::Delete { id, reply }).await?
    }

    /// Runs a show now. `at_start`: without the steps before its start.
    pub async fn run(&self, id: String, at_start: bool, who: Who) -> Result<View, ShowError> {
        self.ask(|reply| Request::Run {
            id,
            at_start,
            who,
            reply,
        })
        .await?
    }

    /// What would happen, and what of it would fail.
    pub async fn dry_run(&self, id: String) -> Result<DryRun, ShowError> {
        let facts = self.ask(|reply| Request::DryRun { id, reply }).await??;
        Ok(dry::look(facts, &self.session).await)
    }

    /// To the run under way; `id`: which is meant, if that was said.
    pub async fn command(
        &self,
        id: Option<String>,
        command: Command,
        who: Who,
    ) -> Result<View, ShowError> {
        self.ask(|reply| Request::Command {
            id,
            command,
            who,
            reply,
        })
        .await?
    }

    /// All shows as a calendar.
    pub async fn calendar(&self) -> Result<String, ShowError> {
        let shows = self.ask(Request::Shows).await?;
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok());
        Ok(ical::export(
            &shows,
            host.as_deref().unwrap_or("regia"),
            Timestamp::now(),
        ))
    }

    /// A new token for the calendar's feed; the one before is good no more.
    pub async fn new_feed_token(&self) -> Result<String, ShowError> {
        feed::renew(self.store.as_ref())
            .await
            .map_err(ShowError::from)
    }

    /// The calendar, for whoever has the token.
    pub async fn feed(&self, token: &str) -> Result<String, feed::FeedError> {
        feed::check(self.store.as_ref(), token).await?;
        Ok(self.calendar().await?)
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, ShowError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| ShowError::Gone)?;
        answer.await.map_err(|_| ShowError::Gone)
    }
}

/// The configuration's language is one; JSON is brought to it.
fn to_toml(value: &Value) -> Result<String, String> {
    toml::to_string(&without_nulls(value)).map_err(|error| error.to_string())
}

/// What is null is not there.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let there = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                there
                    .map(|(key, value)| (key.clone(), without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}
