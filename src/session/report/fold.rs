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
pub(super) mod tests {
    use super::*;
    use crate::session::event::{Covered, SessionId};
    use std::time::Duration;

    pub fn entry(at_s: f64, event: Event) -> Entry {
        by(Who::Regia, at_s, event)
    }

    pub fn by(who: Who, at_s: f64, event: Event) -> Entry {
        Entry {
            at: 1_785_526_200_000 + (at_s * 1e3) as i64,
            session: Some(SessionId::new("20260731-193000")),
            elapsed: Duration::from_secs_f64(at_s),
            who,
            event,
        }
    }

    pub fn out() -> String {
        "linkedin".to_owned()
    }

    fn publishing(uplink: &str) -> Event {
        Event::Publishing {
            destination: out(),
            uplink: Some(uplink.into()),
            ingest: "host:443".into(),
            resumed: uplink != "fibre",
        }
    }

    fn ended(totals: Totals) -> Event {
        Event::DestinationEnded {
            destination: out(),
            reason: EndReason::Asked,
            totals,
        }
    }

    /// An hour with one failover that nobody saw, one outage that cost six seconds, and a clean end.
    pub fn show() -> Vec<Entry> {
        let stop = Event::StopAsked {
            destinations: vec![out()],
        };
        let totals = Totals {
            delivered_s: 3_594.0,
            shed_s: 6.0,
            shed_units: 460,
            replayed_s: 3.5,
            undelivered_s: 0.0,
            reconnects: 2,
        };
        let lost = |reason: &str| Event::Lost {
            destination: out(),
            reason: reason.into(),
        };
        let failover = |from: &str, to: &str, outage_s, covered| Event::Failover {
            destination: out(),
            from: from.into(),
            to: to.into(),
            outage_s,
            covered,
        };
        let mut entries = vec![
            by(
                Who::Operator("anna".into()),
                0.0,
                Event::Started {
                    destinations: vec![out()],
                    recordings: vec!["/rec/master.flv".into()],
                },
            ),
            entry(0.4, publishing("fibre")),
            entry(0.9, Event::OnAir { destination: out() }),
            entry(
                600.0,
                Event::Stalled {
                    destination: out(),
                    reason: "nothing is acknowledged".into(),
                },
            ),
            entry(601.0, lost("interface eth0 has no carrier")),
            entry(601.2, publishing("lte")),
            entry(601.8, failover("fibre", "lte", 1.8, Covered::Replay)),
            entry(
                601.8,
                Event::Replayed {
                    destination: out(),
                    seconds: 3.5,
                },
            ),
            entry(1_800.0, lost("the connection was lost")),
            entry(1_835.0, publishing("fibre")),
            entry(1_836.0, failover("lte", "fibre", 36.0, Covered::Partly)),
            entry(
                1_836.0,
                Event::Shed {
                    destination: out(),
                    seconds: 6.0,
                    units: 460,
                },
            ),
            entry(
                2_000.0,
                Event::EngineDied {
                    run: 1,
                    reason: "it crashed".into(),
                },
            ),
            entry(2_001.0, Event::EngineBack { run: 2, gap_s: 0.7 }),
            entry(2_500.0, Event::FramesLeftOut { frames: 12 }),
            by(Who::Cli, 3_600.0, stop),
            entry(3_601.0, ended(totals)),
            entry(
                3_601.1,
                Event::Ended {
                    delivered_s: 3_594.0,
                },
            ),
        ];
        for n in 0..1_800 {
            let at_s = 1.0 + f64::from(n) * 2.0;
            let down = (1_800.0..1_836.0).contains(&at_s);
            entries.push(entry(
                at_s,
                Event::Sample {
                    destination: out(),
                    kbps: if down { 0 } else { 6_100 + n % 40 },
                    rtt_ms: (!down).then(|| 24.0 + f64::from(n % 7)),
                    hold_used_s: if down { at_s - 1_800.0 } else { 0.4 },
                    loudness_lufs: Some(-23.0 + f64::from(n % 10) * 0.3),
                },
            ));
        }
        entries.sort_by_key(|entry| entry.elapsed);
        entries
    }

    #[test]
    fn a_show_is_told_whole() {
        let report = Report::of(&show());
        assert_eq!(report.session, "20260731-193000");
        assert_eq!(report.started_ms, 1_785_526_200_000);
        assert_eq!(report.ended_ms, Some(1_785_529_801_100));
        assert_eq!(
            (report.started_by.as_str(), report.lasted_s),
            ("anna", 3_601.1)
        );
        assert_eq!(report.engine.restarts, 1);
        assert_eq!(
            (report.engine.gap_s, report.engine.frames_left_out),
            (0.7, 12)
        );
        let [to] = report.destinations.as_slice() else {
            panic!("one destination")
        };
        assert_eq!(to.totals, report.totals);
        assert_eq!(
            (
                to.totals.delivered_s,
                to.totals.shed_s,
                to.totals.replayed_s
            ),
            (3_594.0, 6.0, 3.5)
        );
        assert_eq!((to.on_air_at_s, to.ended_at_s), (Some(0.9), Some(3_601.0)));
        assert_eq!(to.end, Some(EndReason::Asked));
        let ways: Vec<_> = to
            .ways
            .iter()
            .map(|way| {
                (
                    way.uplink.as_deref().unwrap_or_default(),
                    way.from_s,
                    way.until_s,
                )
            })
            .collect();
        assert_eq!(
            ways,
            [
                ("fibre", 0.4, 601.2),
                ("lte", 601.2, 1_835.0),
                ("fibre", 1_835.0, 3_601.0)
            ]
        );
        let outages: Vec<_> = to
            .outages
            .iter()
            .map(|outage| {
                (
                    outage.at_s.round(),
                    outage.lasted_s,
                    outage.reason.as_str(),
                    outage.covered,
                )
            })
            .collect();
        assert_eq!(
            outages,
            [
                (
                    600.0,
                    1.8,
                    "interface eth0 has no carrier",
                    Some(Covered::Replay)
                ),
                (
                    1_800.0,
                    36.0,
                    "the connection was lost",
                    Some(Covered::Partly)
                ),
            ]
        );
        let loudness = to.loudness.unwrap();
        assert_eq!((loudness.least_lufs, loudness.most_lufs), (-23.0, -20.3));
        assert!((-22.0..-21.0).contains(&loudness.mean_lufs));
        assert_eq!(to.samples.len(), 1_800);
        // Samples are in no log that people read.
        assert_eq!(report.log.len(), 18);
        assert_eq!(
            (report.log[15].who.as_str(), report.log[15].event.as_str()),
            ("the command line", "stop_asked")
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn one_that_is_under_way_adds_up_what_its_events_say() {
        let mut entries = show();
        entries.retain(|entry| entry.elapsed < Duration::from_secs(1_820));
        let report = Report::of(&entries);
        assert_eq!(report.ended_ms, None);
        let to = &report.destinations[0];
        assert_eq!((to.ended_at_s, to.end), (None, None));
        assert_eq!((to.totals.replayed_s, to.totals.reconnects), (3.5, 1));
        let last = to.outages.last().unwrap();
        assert_eq!((last.at_s, last.covered), (1_800.0, None));
        assert!((last.lasted_s - 19.0).abs() < 1.1);
        assert_eq!(to.ways.last().unwrap().until_s, report.lasted_s);
    }

    #[test]
    fn sessions_of_one_destination_add_up() {
        let mut entries = show();
        let more = Totals {
            delivered_s: 100.0,
            ..Totals::default()
        };
        entries.insert(
            5,
            entry(
                50.0,
                Event::DestinationEnded {
                    destination: out(),
                    reason: EndReason::RolledOver,
                    totals: more,
                },
            ),
        );
        entries.insert(
            5,
            entry(
                49.0,
                Event::Rollover {
                    destination: out(),
                    session: 2,
                },
            ),
        );
        let report = Report::of(&entries);
        assert_eq!(report.destinations[0].sessions, 2);
        assert_eq!(report.totals.delivered_s, 3_694.0);
        assert_eq!(report.destinations[0].ended_at_s, Some(3_601.0));
    }

    #[test]
    fn nothing_is_a_report_too() {
        assert_eq!(Report::of(&[]), Report::default());
    }
}
