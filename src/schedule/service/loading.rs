//! What the schedule has when it begins, or anew after a change of the configuration: the shows, what people were told, and a run that the
//! process before this one has left. Shell.

use super::Service;
use super::running::{Running, Saved};
use crate::config::{AlertLevel, parse_show};
use crate::schedule::plan;
use crate::schedule::shelf::{Origin, Shelf};
use crate::session::clock::{moment, wall_ms};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::{info, warn};

/// What people were told is remembered for so long.
const REMEMBERED_MS: i64 = 40 * 24 * 3_600_000;
/// Under this word it is remembered when a show was first seen as it is.
const SEEN: &str = "seen";

impl Service {
    /// With the shows as they are written now.
    pub(super) async fn reload(&mut self) {
        self.shelf = Shelf::default();
        self.load().await;
    }

    pub(super) async fn load(&mut self) {
        let now = Timestamp::now();
        let settings = self.hands.session.settings();
        for show in &settings.shows {
            let text = toml::to_string(&show.to_value()).unwrap_or_default();
            self.shelf.load(
                show.id.clone(),
                Origin::Configuration,
                text,
                Ok(show.clone()),
                now,
            );
        }
        let Some(store) = self.store.clone() else {
            return;
        };
        let rows = store.shows().await.unwrap_or_else(|error| {
            warn!(%error, "saved shows can't be read");
            Vec::new()
        });
        let mut since = BTreeMap::new();
        for row in rows {
            since.insert(row.id.clone(), row.saved_ms);
            let show = parse_show(&row.text, "show", &settings).map_err(|errors| {
                let lines: Vec<String> = errors.problems.iter().map(ToString::to_string).collect();
                lines.join("; ")
            });
            self.shelf.load(row.id, Origin::Saved, row.text, show, now);
        }
        let since_ms = wall_ms() - REMEMBERED_MS;
        let told = store.told(since_ms).await.unwrap_or_default();
        self.told = told.into_iter().collect();
        let past = store.past_runs(since_ms).await.unwrap_or_default();
        let past: BTreeSet<String> = past.into_iter().collect();
        let seen = store.when_told(SEEN).await.unwrap_or_default();
        let seen: BTreeMap<String, i64> = seen.into_iter().collect();
        let (mut fresh, mut broken) = (Vec::new(), Vec::new());
        for (id, entry) in &self.shelf.entries {
            if entry.origin == Origin::Configuration {
                let version = version(id, &entry.text);
                match seen.get(&version) {
                    Some(ms) => {
                        since.insert(id.clone(), *ms);
                    }
                    None => fresh.push(version),
                }
            }
            if let Err(problem) = &entry.show {
                broken.push((id.clone(), problem.clone()));
            }
        }
        for version in fresh {
            self.remember(version, SEEN);
        }
        let known_since = |id: &str| {
            let ms = since.get(id);
            ms.and_then(|ms| Timestamp::from_millisecond(*ms).ok())
                .unwrap_or(now)
        };
        self.shelf.look_back(&past, known_since, now);
        for (id, problem) in broken {
            warn!(show = %id, %problem, "this show will not run");
            let title = format!("the show {id} will not run");
            self.tell_of(
                &id,
                None,
                AlertLevel::Problem,
                title,
                format!("{problem}. Change it with `regia show add --replace`, or delete it."),
            );
        }
    }

    /// Goes on with the run of before, if there was one.
    pub(super) async fn resume(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let rows = store.unfinished_runs().await.unwrap_or_default();
        let now = self.clock.stamp();
        for (index, row) in rows.into_iter().enumerate() {
            let saved =
                serde_json::from_str::<Saved>(&row.snapshot).map_err(|error| error.to_string());
            let resumed = saved.and_then(|mut saved| {
                saved
                    .run
                    .rebase(&saved.stamp, &now)
                    .map_err(|error| error.to_string())?;
                Ok(saved)
            });
            let reason = match resumed {
                Ok(saved) if index == 0 => {
                    let Saved {
                        context, mut run, ..
                    } = saved;
                    let policy = self.shelf.missed_policy(&context.show);
                    let start = match (
                        run.has_begun(),
                        plan::start(context.start, policy, Timestamp::now()),
                    ) {
                        (true, _) | (false, plan::Start::OnTime) => Some(context.start),
                        (false, plan::Start::Late) => {
                            run.start_late(now.moment);
                            Some(Timestamp::now())
                        }
                        (false, plan::Start::Missed) => None,
                    };
                    match start {
                        Some(start) => {
                            info!(occurrence = %context.occurrence, "the run goes on");
                            let mut running = Running {
                                run,
                                context: Arc::new(context),
                                start,
                            };
                            running.follow();
                            let outputs = running.run.resume(moment());
                            self.running = Some(running);
                            self.carry_out(outputs, None).await;
                            continue;
                        }
                        None => "Regia came back too late".to_owned(),
                    }
                }
                Ok(_) => "another run was begun after it".to_owned(),
                Err(reason) => reason,
            };
            self.give_up(&row.show, row.occurrence.clone(), row.start_ms, reason)
                .await;
        }
    }
}

/// A show as it is written now: one that was changed is another, whose times before that are nobody's fault.
fn version(id: &str, text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hex: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{id} {hex}")
}
