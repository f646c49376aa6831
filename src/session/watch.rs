//! What is worth a line in what a destination's status goes through. Pure.

use super::event::{Covered, Event, Totals};
use crate::uplink::destination::DestinationStatus;
use std::time::{Duration, Instant};

/// Losses and repeats come in pieces; a line tells those of so long.
const GATHER: Duration = Duration::from_secs(2);

/// Follows one run of a destination.
#[derive(Debug)]
pub struct Watcher {
    id: String,
    /// It had been published before this process began.
    resumed: bool,
    published: bool,
    state: &'static str,
    /// The way it was last on air by.
    way: Option<String>,
    /// Since when nothing gets through, and what had been shed by then.
    outage: Option<(Instant, f64)>,
    reconnects: u32,
    shed: Told,
    replayed: Told,
    shed_units: u64,
    newest: Totals,
}

/// A sum that grows, and how much of it has been told.
#[derive(Debug, Default)]
struct Told {
    told: f64,
    seen: f64,
    since: Option<Instant>,
}

impl Told {
    /// The growth, once it has rested or gathered long enough.
    fn grown(&mut self, now: Instant, sum: f64) -> Option<f64> {
        if sum > self.seen {
            self.seen = sum;
            self.since.get_or_insert(now);
        }
        let since = self.since?;
        (now.duration_since(since) >= GATHER).then(|| self.flush())?
    }

    fn flush(&mut self) -> Option<f64> {
        self.since = None;
        let grown = self.seen - std::mem::replace(&mut self.told, self.seen);
        (grown > 0.0).then_some(grown)
    }
}

impl Watcher {
    pub fn new(id: &str, resumed: bool) -> Self {
        Watcher {
            id: id.to_owned(),
            resumed,
            published: false,
            state: "connecting",
            way: None,
            outage: None,
            reconnects: 0,
            shed: Told::default(),
            replayed: Told::default(),
            shed_units: 0,
            newest: Totals::default(),
        }
    }

    /// What happened since the last status.
    pub fn note(&mut self, now: Instant, status: &DestinationStatus) -> Vec<Event> {
        let mut events = Vec::new();
        let destination = || self.id.clone();
        let was = std::mem::replace(&mut self.state, status.state);
        let again = status.reconnects > std::mem::replace(&mut self.reconnects, status.reconnects);
        let reason = || {
            let text = status.error.as_deref().unwrap_or("nothing more is known");
            text.trim_end_matches('.').to_owned()
        };
        let way = match (&status.uplink, &status.ingest) {
            (Some(uplink), Some(ingest)) => Some(format!("{uplink} to {ingest}")),
            (None, Some(ingest)) => Some(ingest.clone()),
            (_, None) => None,
        };
        let is_on = status.state == "on_air";
        if is_on && (!self.published || again) {
            events.push(Event::Publishing {
                destination: destination(),
                uplink: status.uplink.clone(),
                ingest: status.ingest.clone().unwrap_or_default(),
                resumed: self.published || self.resumed,
            });
        }
        match (was, status.state) {
            (_, "on_air") if !self.published => events.push(Event::OnAir {
                destination: destination(),
            }),
            ("on_air", "stalled") => events.push(Event::Stalled {
                destination: destination(),
                reason: reason(),
            }),
            ("on_air" | "stalled", "reconnecting") => events.push(Event::Lost {
                destination: destination(),
                reason: reason(),
            }),
            // It was lost and back between two looks.
            ("on_air", "on_air") if again => events.push(Event::Lost {
                destination: destination(),
                reason: "its connection broke".to_owned(),
            }),
            _ => {}
        }
        if self.published && status.state != "on_air" && status.state != "ended" {
            self.outage.get_or_insert((now, status.shed_s));
        }
        if is_on && self.published && (again || self.outage.is_some()) {
            let (since, shed) = self.outage.take().unwrap_or((now, self.newest.shed_s));
            let to = way.clone().unwrap_or_default();
            events.push(Event::Failover {
                destination: destination(),
                from: self.way.clone().unwrap_or_else(|| to.clone()),
                to,
                outage_s: now.duration_since(since).as_secs_f64(),
                covered: if status.shed_s > shed {
                    Covered::Partly
                } else {
                    Covered::Replay
                },
            });
        }
        if is_on {
            self.published = true;
            self.way = way;
        }
        if let Some(seconds) = self.shed.grown(now, status.shed_s) {
            events.push(self.shed_event(seconds, status.shed_units));
        }
        if let Some(seconds) = self.replayed.grown(now, status.replayed_s) {
            events.push(Event::Replayed {
                destination: self.id.clone(),
                seconds,
            });
        }
        self.newest = totals(status, self.resumed && self.published);
        events
    }

    fn shed_event(&mut self, seconds: f64, units: u64) -> Event {
        Event::Shed {
            destination: self.id.clone(),
            seconds,
            units: units - std::mem::replace(&mut self.shed_units, units),
        }
    }

    /// What is left to tell at the end, so that the lines add up to the totals.
    pub fn finish(&mut self, status: &DestinationStatus) -> Vec<Event> {
        self.shed.seen = status.shed_s;
        self.replayed.seen = status.replayed_s;
        self.newest = totals(status, self.resumed && self.published);
        let shed = self.shed.flush();
        let shed = shed.map(|seconds| self.shed_event(seconds, status.shed_units));
        let replayed = self.replayed.flush().map(|seconds| Event::Replayed {
            destination: self.id.clone(),
            seconds,
        });
        shed.into_iter().chain(replayed).collect()
    }

    /// Whether the ingest has accepted a publish.
    pub fn has_published(&self) -> bool {
        self.published
    }

    pub fn is_on_air(&self) -> bool {
        self.state == "on_air"
    }

    /// Of this process.
    pub fn totals(&self) -> Totals {
        self.newest
    }
}

fn totals(status: &DestinationStatus, resumed: bool) -> Totals {
    Totals {
        delivered_s: status.delivered_s,
        shed_s: status.shed_s,
        shed_units: status.shed_units,
        replayed_s: status.replayed_s,
        undelivered_s: status.undelivered_s,
        reconnects: status.reconnects + u32::from(resumed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &'static str) -> DestinationStatus {
        DestinationStatus {
            id: "a".into(),
            platform: "custom".into(),
            state,
            uplink: Some("fibre".into()),
            ingest: Some("host:443".into()),
            standby: None,
            bitrate_kbps: 0,
            rtt_ms: None,
            hold_used_s: 0.0,
            hold_s: 30.0,
            outage_left_s: 30.0,
            delivered_s: 0.0,
            shed_s: 0.0,
            shed_units: 0,
            replayed_s: 0.0,
            undelivered_s: 0.0,
            reconnects: 0,
            ends_in_s: None,
            error: None,
        }
    }

    #[test]
    fn an_evening_with_an_outage() {
        let start = Instant::now();
        let mut watcher = Watcher::new("a", false);
        let mut said = Vec::new();
        let mut look = |second: u64, status: DestinationStatus| {
            let now = start + Duration::from_secs(second);
            said.extend(
                watcher
                    .note(now, &status)
                    .iter()
                    .map(|event| format!("{second}: {event}")),
            );
        };
        look(0, status("connecting"));
        look(1, status("on_air"));
        look(2, status("on_air"));
        look(
            10,
            DestinationStatus {
                error: Some("it takes nothing.".into()),
                ..status("stalled")
            },
        );
        look(
            12,
            DestinationStatus {
                error: Some("reset".into()),
                ..status("reconnecting")
            },
        );
        let back = |shed_s| DestinationStatus {
            uplink: Some("lte".into()),
            reconnects: 1,
            replayed_s: 2.5,
            shed_s,
            shed_units: 90,
            ..status("on_air")
        };
        look(14, back(1.0));
        look(15, back(1.0));
        look(17, back(1.0));
        assert_eq!(
            said,
            [
                "1: a is published to host:443 over fibre.",
                "1: a is on air.",
                "10: a has stalled: it takes nothing.",
                "12: a lost its connection: reset.",
                "14: a is published again to host:443 over lte.",
                "14: a is delivered by lte to host:443 instead of fibre to host:443 after 4.0 s: a part of it was lost.",
                "17: a lost 1.0 s: it had become older than the hold.",
                "17: a was sent 2.5 s again.",
            ]
        );
    }

    #[test]
    fn what_was_told_adds_up() {
        let start = Instant::now();
        let mut watcher = Watcher::new("a", true);
        let mut sum = 0.0;
        let mut add = |events: Vec<Event>| {
            for event in events {
                if let Event::Shed { seconds, .. } = event {
                    sum += seconds;
                }
            }
        };
        for n in 0..50u64 {
            let status = DestinationStatus {
                shed_s: n as f64 * 0.3,
                ..status("on_air")
            };
            add(watcher.note(start + Duration::from_millis(250 * n), &status));
        }
        add(watcher.finish(&DestinationStatus {
            shed_s: 20.0,
            ..status("ended")
        }));
        assert!((sum - 20.0).abs() < 1e-9, "{sum}");
        assert_eq!(watcher.totals().reconnects, 1);
    }
}
