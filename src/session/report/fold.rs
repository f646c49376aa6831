//! Entries → report. Pure.

use super::{Anyway, Away, DestinationReport, Line, Loudness, Outage, Report, Sample, Way};
use crate::session::event::{EndReason, Entry, Event, Totals, Who};

pub(super) fn fold(entries: &[Entry]) -> Report {
    let mut fold = Fold::default();
    entries.iter().for_each(|entry| fold.take(entry));
    fold.finish()
}

#[derive(Default)]
struct Fold {
    report: Report,
    /// Beside each destination of the report.
    open: Vec<Open>,
}

/// What is still under way at one destination.
#[derive(Default)]
struct Open {
    /// Trouble since, and why.
    trouble: Option<(f64, String)>,
    /// What its events add up to since it last ended.
    counted: Totals,
}

impl Fold {
    fn take(&mut self, entry: &Entry) {
        let at_s = entry.elapsed.as_secs_f64();
        let report = &mut self.report;
        if report.session.is_empty() {
            report.session = entry
                .session
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            report.started_ms = entry.at - entry.elapsed.as_millis() as i64;
        }
        report.lasted_s = report.lasted_s.max(at_s);
        if entry.event.is_for_people() {
            report.log.push(line(entry, at_s));
        }
        self.take_event(&entry.event, &entry.who, entry.at, at_s);
    }

    fn take_event(&mut self, event: &Event, who: &Who, at_ms: i64, at_s: f64) {
        match event {
            Event::Started {
                destinations,
                recordings,
            } => {
                if self.report.started_by.is_empty() {
                    self.report.started_by = who.to_string();
                }
                self.report.recordings.extend(recordings.iter().cloned());
                destinations.iter().for_each(|id| {
                    self.at(id);
                });
            }
            Event::Anyway { reason, problems } => self.report.anyway.push(Anyway {
                who: who.to_string(),
                reason: reason.clone(),
                problems: problems.clone(),
            }),
            Event::Resumed { outage_s, .. } => self.report.away.push(Away {
                until_s: at_s,
                lasted_s: *outage_s,
            }),
            Event::EngineDied { .. } => self.report.engine.restarts += 1,
            Event::EngineBack { gap_s, .. } => self.report.engine.gap_s += gap_s,
            Event::FramesLeftOut { frames } => self.report.engine.frames_left_out += frames,
            Event::Ended { .. } => self.report.ended_ms = Some(at_ms),
            event => {
                if let Some(id) = event.destination() {
                    let n = self.at(id);
                    let (to, open) = (&mut self.report.destinations[n], &mut self.open[n]);
                    take_at(event, to, open, at_s);
                }
            }
        }
    }

    /// The place of a destination, which is made when it is first named.
    fn at(&mut self, id: &str) -> usize {
        let known = self.report.destinations.iter().position(|to| to.id == id);
        known.unwrap_or_else(|| {
            self.report.destinations.push(DestinationReport {
                id: id.to_owned(),
                sessions: 1,
                ..DestinationReport::default()
            });
            self.open.push(Open::default());
            self.open.len() - 1
        })
    }

    fn finish(mut self) -> Report {
        let until_s = self.report.lasted_s;
        for (to, open) in self.report.destinations.iter_mut().zip(self.open) {
            if let Some(trouble) = open.trouble {
                to.outages.push(to_the_end(trouble, until_s));
            }
            // What ended has counted for itself; this is of a broadcast that is under way or was cut off.
            add(&mut to.totals, &open.counted);
            close_way(to, to.ended_at_s.unwrap_or(until_s));
            to.loudness = loudness(&to.samples);
            add(&mut self.report.totals, &to.totals);
        }
        self.report
    }
}

fn take_at(event: &Event, to: &mut DestinationReport, open: &mut Open, at_s: f64) {
    match event {
        Event::Publishing { uplink, ingest, .. } => {
            open.counted.reconnects += u32::from(!to.ways.is_empty());
            close_way(to, at_s);
            to.ways.push(Way {
                from_s: at_s,
                until_s: at_s,
                uplink: uplink.clone(),
                ingest: ingest.clone(),
            });
        }
        Event::OnAir { .. } => {
            to.on_air_at_s.get_or_insert(at_s);
            to.ended_at_s = None;
        }
        Event::Stalled { reason, .. } | Event::Lost { reason, .. } => {
            // A stall that becomes a loss began with the stall, and the loss tells more of it.
            let since = open.trouble.take().map_or(at_s, |(since, _)| since);
            open.trouble = Some((since, reason.clone()));
        }
        Event::Failover {
            from,
            to: by,
            outage_s,
            covered,
            ..
        } => {
            let reason = open.trouble.take().map(|(_, reason)| reason);
            to.outages.push(Outage {
                at_s: (at_s - outage_s).max(0.0),
                lasted_s: *outage_s,
                reason: reason.unwrap_or_default(),
                from: from.clone(),
                to: by.clone(),
                covered: Some(*covered),
            });
        }
        Event::Shed { seconds, units, .. } => {
            open.counted.shed_s += seconds;
            open.counted.shed_units += units;
        }
        Event::Replayed { seconds, .. } => open.counted.replayed_s += seconds,
        Event::Rollover { session, .. } => to.sessions = to.sessions.max(*session),
        Event::Sample {
            kbps,
            rtt_ms,
            hold_used_s,
            loudness_lufs,
            ..
        } => to.samples.push(Sample {
            at_s,
            kbps: *kbps,
            rtt_ms: *rtt_ms,
            behind_s: *hold_used_s,
            loudness_lufs: *loudness_lufs,
        }),
        Event::DestinationEnded { reason, totals, .. } => {
            if let Some(trouble) = open.trouble.take() {
                to.outages.push(to_the_end(trouble, at_s));
            }
            add(&mut to.totals, totals);
            open.counted = Totals::default();
            // With a rollover the next session is on air before the one before it has ended.
            if *reason != EndReason::RolledOver {
                close_way(to, at_s);
                to.ended_at_s = Some(at_s);
                to.end = Some(*reason);
            }
        }
        _ => {}
    }
}

fn close_way(to: &mut DestinationReport, at_s: f64) {
    let ended = to.ended_at_s.is_some();
    if let Some(way) = to
        .ways
        .last_mut()
        .filter(|way| !ended || way.until_s <= way.from_s)
    {
        way.until_s = at_s.max(way.from_s);
    }
}

fn to_the_end((at_s, reason): (f64, String), until_s: f64) -> Outage {
    Outage {
        at_s,
        lasted_s: (until_s - at_s).max(0.0),
        reason,
        from: String::new(),
        to: String::new(),
        covered: None,
    }
}

fn add(sum: &mut Totals, more: &Totals) {
    sum.delivered_s += more.delivered_s;
    sum.shed_s += more.shed_s;
    sum.shed_units += more.shed_units;
    sum.replayed_s += more.replayed_s;
    sum.undelivered_s += more.undelivered_s;
    sum.reconnects += more.reconnects;
}

fn loudness(samples: &[Sample]) -> Option<Loudness> {
    let heard: Vec<f64> = samples
        .iter()
        .filter_map(|sample| sample.loudness_lufs)
        .filter(|lufs| lufs.is_finite())
        .collect();
    let energy: f64 = heard.iter().map(|lufs| 10f64.powf(lufs / 10.0)).sum();
    Some(Loudness {
        mean_lufs: 10.0 * (energy / heard.len() as f64).log10(),
        least_lufs: heard.iter().copied().min_by(f64::total_cmp)?,
        most_lufs: heard.iter().copied().max_by(f64::total_cmp)?,
    })
}

fn line(entry: &Entry, at_s: f64) -> Line {
    let word = serde_json::to_value(&entry.event).ok();
    let word = word.as_ref().and_then(|value| value["event"].as_str());
    Line {
        at_ms: entry.at,
        at_s,
        who: entry.who.to_string(),
        event: word.unwrap_or_default().to_owned(),
        destination: entry.event.destination().map(str::to_owned),
        text: entry.event.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests;
