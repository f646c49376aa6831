//! All shows that there are: those of the configuration and those that were saved, with when each is next. Pure but for zones and the
//! wall clock, which come as arguments.

use super::listing::Listed;
use super::plan;
use crate::calendar::{Occupied, Occurrence, Timeline, zones};
use crate::config::show::{Missed, shifted};
use crate::config::{CONFLICT_DAYS, CONFLICT_TIMES, Show, conflict_text};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a show was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Configuration,
    Saved,
}

#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    #[error("there is no show {0:?}; `regia show list` names them")]
    Unknown(String),
    #[error("there is a show {0:?} already: change that one, or take another id")]
    Exists(String),
    #[error("{0:?} stands in the configuration: change it there")]
    Configured(String),
    #[error("{0}; one box makes one programme: move one of them, or make it shorter")]
    Conflict(String),
    #[error("{0:?} can't be used as it was saved: {1}")]
    Broken(String, String),
    #[error("{0} is running: end it first")]
    Running(String),
    #[error("no show is running")]
    NotRunning,
    #[error("{0} is running, and not {1}")]
    OtherRuns(String, String),
    #[error(transparent)]
    Command(#[from] super::run::CommandError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error("the schedule has ended")]
    Gone,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub origin: Origin,
    pub text: String,
    /// Why it can't be used, else.
    pub show: Result<Show, String>,
    pub zone: TimeZone,
    next: Option<Occurrence>,
    listed: Arc<Listed>,
}

impl Entry {
    fn new(
        id: &str,
        origin: Origin,
        text: String,
        show: Result<Show, String>,
        zone: TimeZone,
        next: Option<Occurrence>,
    ) -> Self {
        Entry {
            listed: Arc::new(Listed::of(id, origin, show.as_ref(), &zone, next.as_ref())),
            origin,
            text,
            show,
            zone,
            next,
        }
    }

    /// The first that was not run, missed or left out yet.
    pub fn next(&self) -> Option<&Occurrence> {
        self.next.as_ref()
    }

    /// It is listed far more often than it changes, and there may be thousands.
    fn set_next(&mut self, next: Option<Occurrence>) {
        let (id, show) = (&self.listed.id, self.show.as_ref());
        let listed = Listed::of(id, self.origin, show, &self.zone, next.as_ref());
        self.listed = Arc::new(listed);
        self.next = next;
    }
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub entries: BTreeMap<String, Entry>,
    planned: Timeline,
}

/// Shows that are found right, and not saved yet.
pub(super) struct Prepared {
    entries: Vec<(String, Entry)>,
    planned: Timeline,
}

impl Shelf {
    /// Adds a show; one that is in the way of another, or can't be used, is kept with the reason and never run.
    pub fn load(
        &mut self,
        id: String,
        origin: Origin,
        text: String,
        show: Result<Show, String>,
        now: Timestamp,
    ) {
        if self.entries.contains_key(&id) {
            return;
        }
        let show = show.and_then(|show| match zones::find(&show.zone) {
            Some(zone) => match self.planned.add(stretches(&show, &zone, now)) {
                Ok(()) => Ok((show, zone)),
                Err(conflict) => Err(conflict_text(&conflict, &zone)),
            },
            None => Err(format!(
                "there is no time zone {:?} on this machine any more",
                show.zone
            )),
        });
        let (show, zone) = match show {
            Ok((show, zone)) => (Ok(show), zone),
            Err(problem) => (Err(problem), TimeZone::UTC),
        };
        let entry = Entry::new(&id, origin, text, show, zone, None);
        self.entries.insert(id, entry);
    }

    /// All of them, as a list has them.
    pub fn list(&self) -> Vec<Arc<Listed>> {
        let entries = self.entries.values();
        entries.map(|entry| Arc::clone(&entry.listed)).collect()
    }

    /// What saving these shows would make, all or none. `replace`: those that there are already.
    pub fn prepare(
        &self,
        shows: &[(Show, String)],
        replace: bool,
        now: Timestamp,
    ) -> Result<Prepared, ShowError> {
        let mut planned = self.planned.clone();
        let mut ids = BTreeSet::new();
        for (show, _) in shows {
            match self.entries.get(&show.id) {
                Some(entry) if entry.origin == Origin::Configuration => {
                    return Err(ShowError::Configured(show.id.clone()));
                }
                Some(_) if !replace => return Err(ShowError::Exists(show.id.clone())),
                _ => {}
            }
            if !ids.insert(&show.id) {
                return Err(ShowError::Exists(show.id.clone()));
            }
            if self.entries.contains_key(&show.id) {
                planned.remove(&show.id);
            }
        }
        let mut entries = Vec::new();
        for (show, text) in shows {
            let zone = zones::find(&show.zone).ok_or_else(|| {
                ShowError::Broken(
                    show.id.clone(),
                    format!("there is no time zone {:?}", show.zone),
                )
            })?;
            let added = planned.add(stretches(show, &zone, now));
            added.map_err(|conflict| ShowError::Conflict(conflict_text(&conflict, &zone)))?;
            let next = show.recurrence.next(&zone, now);
            let known = Ok(show.clone());
            let entry = Entry::new(&show.id, Origin::Saved, text.clone(), known, zone, next);
            entries.push((show.id.clone(), entry));
        }
        Ok(Prepared { entries, planned })
    }

    pub fn apply(&mut self, prepared: Prepared) {
        self.planned = prepared.planned;
        self.entries.extend(prepared.entries);
    }

    /// It is one that may be deleted.
    pub fn check_delete(&self, id: &str) -> Result<(), ShowError> {
        match self.entries.get(id) {
            None => Err(ShowError::Unknown(id.to_owned())),
            Some(entry) if entry.origin == Origin::Configuration => {
                Err(ShowError::Configured(id.to_owned()))
            }
            Some(_) => Ok(()),
        }
    }

    pub fn delete(&mut self, id: &str) {
        self.entries.remove(id);
        self.planned.remove(id);
    }

    pub fn show(&self, id: &str) -> Result<(&Show, &Entry), ShowError> {
        let entry = self
            .entries
            .get(id)
            .ok_or_else(|| ShowError::Unknown(id.to_owned()))?;
        match &entry.show {
            Ok(show) => Ok((show, entry)),
            Err(problem) => Err(ShowError::Broken(id.to_owned(), problem.clone())),
        }
    }

    /// Finds each show's first occurrence that is still to be dealt with. `known_since`: when the box first knew of it.
    pub fn look_back(
        &mut self,
        past: &BTreeSet<String>,
        known_since: impl Fn(&str) -> Timestamp,
        now: Timestamp,
    ) {
        for entry in self.entries.values_mut() {
            let Ok(show) = &entry.show else { continue };
            let back = SignedDuration::try_from(plan::looks_back(show.missed))
                .unwrap_or(SignedDuration::ZERO);
            let from = now
                .checked_sub(back)
                .unwrap_or(now)
                .max(known_since(&show.id));
            let found =
                show.recurrence
                    .occurrences(&entry.zone, from.min(now), now, CONFLICT_TIMES);
            let open = found
                .into_iter()
                .find(|occurrence| !past.contains(&show.occurrence_id(occurrence)));
            let next = open.or_else(|| {
                // One that was begun ahead of its start may be over.
                let mut from = now;
                for _ in 0..CONFLICT_TIMES {
                    let next = show.recurrence.next(&entry.zone, from)?;
                    if !past.contains(&show.occurrence_id(&next)) {
                        return Some(next);
                    }
                    from = next.at.checked_add(1.second()).ok()?;
                }
                None
            });
            entry.set_next(next);
        }
    }

    /// The show's next, after one that was dealt with.
    pub fn advance(&mut self, id: &str, after: Timestamp) {
        if let Some(entry) = self.entries.get_mut(id)
            && let Ok(show) = &entry.show
        {
            let from = after.checked_add(1.second()).unwrap_or(after);
            let next = show.recurrence.next(&entry.zone, from);
            entry.set_next(next);
        }
    }

    /// The show's next is another than this occurrence, which is being dealt with.
    pub fn pass(&mut self, id: &str, occurrence: &str) {
        let at = self.entries.get(id).and_then(|entry| {
            let (show, next) = (entry.show.as_ref().ok()?, entry.next.as_ref()?);
            (show.occurrence_id(next) == occurrence).then_some(next.at)
        });
        if let Some(at) = at {
            self.advance(id, at);
        }
    }

    /// When the first step of the show's next that needs the box comes.
    pub fn needs_the_box(&self, id: &str) -> Option<Timestamp> {
        let entry = self.entries.get(id)?;
        let (show, next) = (entry.show.as_ref().ok()?, entry.next.as_ref()?);
        Some(shifted(next.at, -show.lead_ms()))
    }

    /// With the zones as the machine has them now. What is running or about to is not moved.
    pub fn renew_zones(&mut self, now: Timestamp) {
        let soon = now.checked_add(1.hour()).unwrap_or(now);
        let mut found: BTreeMap<String, Option<TimeZone>> = BTreeMap::new();
        for entry in self.entries.values_mut() {
            let (Ok(show), Some(next)) = (&entry.show, &entry.next) else {
                continue;
            };
            let zone = found
                .entry(show.zone.clone())
                .or_insert_with(|| zones::find(&show.zone));
            if let Some(zone) = zone
                .as_ref()
                .filter(|zone| **zone != entry.zone && next.at > soon)
            {
                let next = show
                    .recurrence
                    .occurrence(zone, next.original)
                    .or_else(|| show.recurrence.next(zone, now));
                entry.zone = zone.clone();
                entry.set_next(next);
            }
        }
    }

    /// What stands in a show's way between now and the horizon, for a dry run.
    pub fn in_the_way(&self, stretch: &Occupied) -> Option<&Occupied> {
        self.planned.in_the_way(stretch, Some(&stretch.show))
    }

    pub fn missed_policy(&self, id: &str) -> Missed {
        self.show(id).map_or(Missed::Skip, |(show, _)| show.missed)
    }
}

fn stretches(show: &Show, zone: &TimeZone, now: Timestamp) -> Vec<Occupied> {
    let to = now
        .checked_add((CONFLICT_DAYS * 24).hours())
        .unwrap_or(Timestamp::MAX);
    show.occupied(zone, now, to, CONFLICT_TIMES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Recurrence;
    use crate::config::show::{Action, Overrun, Step, Timing};
    use std::time::Duration;

    /// At ten on the second of August, with looks and scenes before.
    fn shelf(now: Timestamp) -> Shelf {
        let at = |s: i64, action| Step {
            timing: Timing::At(s * 1_000),
            wait: None,
            action,
        };
        let scene = Action::Scene {
            scene: "slate".into(),
            transition: None,
        };
        let show = Show {
            id: "talk".into(),
            name: None,
            destinations: Vec::new(),
            keys: BTreeMap::new(),
            scenes: Vec::new(),
            zone: "UTC".into(),
            recurrence: Recurrence::once("2026-08-02T10:00".parse().unwrap()),
            length: Duration::from_secs(120),
            missed: Missed::Skip,
            overrun: Overrun::End,
            steps: vec![
                at(-600, Action::Preflight),
                at(-60, scene),
                at(0, Action::Live),
            ],
        };
        let mut shelf = Shelf::default();
        shelf.load("talk".into(), Origin::Saved, String::new(), Ok(show), now);
        shelf
    }

    fn next(shelf: &Shelf) -> Option<Timestamp> {
        shelf.entries["talk"].next().map(|next| next.at)
    }

    #[test]
    fn the_box_is_needed_from_the_first_step_that_disturbs_on() {
        let now = "2026-08-02T09:00:00Z".parse().unwrap();
        let mut shelf = shelf(now);
        shelf.look_back(&BTreeSet::new(), |_| now, now);
        let needs = "2026-08-02T09:59:00Z".parse().unwrap();
        assert_eq!(shelf.needs_the_box("talk"), Some(needs));
        assert_eq!(shelf.needs_the_box("nobody"), None);
    }

    #[test]
    fn an_occurrence_that_runs_ahead_of_its_start_is_not_next() {
        let now = "2026-08-02T09:55:00Z".parse().unwrap();
        let mut shelf = shelf(now);
        shelf.look_back(&BTreeSet::new(), |_| now, now);
        let (show, entry) = shelf.show("talk").unwrap();
        let occurrence = show.occurrence_id(entry.next().unwrap());
        shelf.pass("talk", "another");
        assert!(next(&shelf).is_some());
        shelf.pass("talk", &occurrence);
        assert_eq!(next(&shelf), None);
        // Nor is one that ran and is over.
        shelf.look_back(&BTreeSet::from([occurrence]), |_| now, now);
        assert_eq!(next(&shelf), None);
    }
}
