//! What is planned: saved, deleted, run by hand, and told. Shell.

use super::Service;
use crate::calendar::Occupied;
use crate::config::Show;
use crate::config::show::{millis, shifted};
use crate::schedule::dry::Facts;
use crate::schedule::handle::Detail;
use crate::schedule::listing::{self, Upcoming};
use crate::schedule::run::View;
use crate::schedule::shelf::ShowError;
use crate::session::clock::wall_ms;
use crate::session::event::Who;
use crate::store::ShowRow;
use jiff::{Timestamp, ToSpan};

impl Service {
    pub(super) fn detail(&self, id: String) -> Result<Detail, ShowError> {
        let entry = self.shelf.entries.get(&id).ok_or(ShowError::Unknown(id))?;
        Ok(Detail {
            origin: entry.origin,
            text: entry.text.clone(),
            show: entry.show.as_ref().ok().map(Show::to_value),
            problem: entry.show.as_ref().err().cloned(),
        })
    }

    pub(super) fn upcoming(&self, most: usize) -> Vec<Upcoming> {
        let now = Timestamp::now();
        let horizon = now.checked_add((366 * 24).hours()).unwrap_or(now);
        listing::upcoming(self.shelf.entries.values(), horizon, most)
    }

    pub(super) async fn save_shows(
        &mut self,
        shows: Vec<(Show, String)>,
        replace: bool,
    ) -> Result<(), ShowError> {
        let saved_ms = wall_ms();
        let row = |(show, text): &(Show, String)| ShowRow {
            id: show.id.clone(),
            text: text.clone(),
            saved_ms,
        };
        let rows: Vec<ShowRow> = shows.iter().map(row).collect();
        let prepared = self.shelf.prepare(&shows, replace, Timestamp::now())?;
        if let Some(store) = &self.store {
            store.save_shows(rows).await?;
        }
        self.shelf.apply(prepared);
        Ok(())
    }

    pub(super) async fn delete(&mut self, id: &str) -> Result<(), ShowError> {
        self.shelf.check_delete(id)?;
        if let Some(running) = self
            .running
            .as_ref()
            .filter(|running| running.context.show == id)
        {
            return Err(ShowError::Running(running.context.occurrence.clone()));
        }
        if let Some(store) = &self.store {
            store.delete_show(id).await?;
        }
        self.shelf.delete(id);
        Ok(())
    }

    pub(super) async fn run_now(
        &mut self,
        id: &str,
        at_start: bool,
        who: Who,
    ) -> Result<View, ShowError> {
        if let Some(running) = &self.running {
            return Err(ShowError::Running(running.context.occurrence.clone()));
        }
        let (show, _) = self.shelf.show(id)?;
        let show = show.clone();
        let now = Timestamp::now();
        let start = if at_start {
            now
        } else {
            shifted(now, show.first_step_ms())
        };
        let occurrence = format!("{id}/by-hand-{}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
        self.begin(&show, occurrence, start, at_start, Some(who))
            .await;
        self.view().ok_or(ShowError::NotRunning)
    }

    pub(super) fn facts(&self, id: &str) -> Result<Facts, ShowError> {
        let (show, entry) = self.shelf.show(id)?;
        let in_the_way = entry.next().and_then(|next| {
            let stretch = Occupied {
                show: id.to_owned(),
                from: shifted(next.at, -show.lead_ms()),
                to: shifted(next.at, millis(show.length)),
            };
            self.shelf.in_the_way(&stretch).cloned()
        });
        Ok(Facts {
            show: show.clone(),
            zone: entry.zone.clone(),
            next: entry.next().cloned(),
            in_the_way,
            alerts: self.hands.alerts.ids(),
        })
    }
}
