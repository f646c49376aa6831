//! A show and what the report tells of it; the other tests of the report tell it again.

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
