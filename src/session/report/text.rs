//! The report in sentences. Pure.

use super::{Outage, Report};
use crate::session::event::{Covered, EndReason, span};
use std::fmt::Write as _;

/// How a broadcast went.
pub(super) fn verdict(report: &Report) -> String {
    let totals = &report.totals;
    let never: Vec<&str> = report
        .destinations
        .iter()
        .filter(|to| to.on_air_at_s.is_none())
        .map(|to| to.id.as_str())
        .collect();
    let failed = report.destinations.iter();
    let failed = failed.filter(|to| to.end == Some(EndReason::Failed) && to.on_air_at_s.is_some());
    let failed: Vec<&str> = failed.map(|to| to.id.as_str()).collect();
    let mut parts = Vec::new();
    if report.destinations.is_empty() || never.len() == report.destinations.len() {
        return "Nothing was ever on air.".to_owned();
    }
    if !never.is_empty() {
        parts.push(format!("{} was never on air", never.join(", ")));
    }
    if !failed.is_empty() {
        parts.push(format!("{} ended by a failure", failed.join(", ")));
    }
    if totals.shed_s > 0.0 {
        parts.push(format!("{} were lost to outages", span(totals.shed_s)));
    }
    if totals.undelivered_s > 0.0 {
        parts.push(format!(
            "{} were undelivered at the end",
            span(totals.undelivered_s)
        ));
    }
    let outages = report.outages();
    let went = match (parts.is_empty(), outages) {
        (true, 0) => "Nothing was lost, and there was no outage".to_owned(),
        (true, 1) => "Nothing was lost: an outage was covered".to_owned(),
        (true, outages) => format!("Nothing was lost: {outages} outages were covered"),
        (false, _) => parts.join("; "),
    };
    let so_far = if report.ended_ms.is_none() {
        ", so far"
    } else {
        ""
    };
    let mut went = format!("{went}{so_far}.");
    if let Some(first) = went.get_mut(..1) {
        // Ids stay as they are written; only a sentence of ours begins with a letter to raise.
        if never.is_empty() && failed.is_empty() {
            first.make_ascii_uppercase();
        }
    }
    went
}

/// Why an outage was seen, or not.
pub(super) fn covered(outage: &Outage) -> &'static str {
    match outage.covered {
        Some(Covered::Replay) => "nothing was lost",
        Some(Covered::Partly) => "a part was lost",
        Some(Covered::Live) => "resumed with the newest picture",
        None => "not recovered",
    }
}

pub(super) fn end(reason: Option<EndReason>) -> &'static str {
    match reason {
        None => "under way, or cut off",
        Some(EndReason::Asked) => "ended as asked",
        Some(EndReason::Limit) => "ended by the guard, before the platform's limit",
        Some(EndReason::RolledOver) => "went over to its next session",
        Some(EndReason::Failed) => "ended by a failure",
    }
}

/// `regia live report`.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    line(format!(
        "session {}, {}, started by {}",
        report.session,
        span(report.lasted_s),
        report.started_by
    ));
    line(report.verdict());
    for anyway in &report.anyway {
        line(format!(
            "started anyway by {}: {}",
            anyway.who, anyway.reason
        ));
        for problem in &anyway.problems {
            line(format!("  although {problem}"));
        }
    }
    for to in &report.destinations {
        let totals = &to.totals;
        line(format!(
            "destination {}: {}; delivered {}, lost {}, replayed {}, undelivered {}, {} reconnect{}",
            to.id,
            end(to.end),
            span(totals.delivered_s),
            span(totals.shed_s),
            span(totals.replayed_s),
            span(totals.undelivered_s),
            totals.reconnects,
            if totals.reconnects == 1 { "" } else { "s" }
        ));
        for outage in &to.outages {
            let way = match (outage.from.as_str(), outage.to.as_str()) {
                ("", _) | (_, "") => String::new(),
                (from, to) if from == to => format!(", {to} again"),
                (from, to) => format!(", {from} → {to}"),
            };
            line(format!(
                "  at {}: {} without delivery{way}: {} ({})",
                clock(outage.at_s),
                span(outage.lasted_s),
                covered(outage),
                outage.reason
            ));
        }
        if let Some(loudness) = to.loudness {
            line(format!(
                "  loudness {:.1} LUFS, from {:.1} to {:.1}",
                loudness.mean_lufs, loudness.least_lufs, loudness.most_lufs
            ));
        }
    }
    if report.engine.restarts > 0 {
        line(format!(
            "the engine was restarted {}, {} without pictures",
            match report.engine.restarts {
                1 => "once".to_owned(),
                n => format!("{n} times"),
            },
            span(report.engine.gap_s)
        ));
    }
    if report.engine.frames_left_out > 0 {
        line(format!(
            "{} frames were left out: this machine was too slow",
            report.engine.frames_left_out
        ));
    }
    for recording in &report.recordings {
        line(format!("recorded to {recording}"));
    }
    text
}

/// Seconds from the start as h:mm:ss.
pub(super) fn clock(at_s: f64) -> String {
    let whole = at_s.max(0.0).round() as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::super::fold::tests::show;
    use super::*;
    use crate::session::event::Event;

    #[test]
    fn verdicts() {
        let report = Report::of(&show());
        assert_eq!(report.verdict(), "6.0 s were lost to outages.");
        let mut covered = report.clone();
        covered.totals.shed_s = 0.0;
        assert_eq!(
            covered.verdict(),
            "Nothing was lost: 2 outages were covered."
        );
        covered.ended_ms = None;
        covered.destinations[0].outages.clear();
        assert_eq!(
            covered.verdict(),
            "Nothing was lost, and there was no outage, so far."
        );
        covered.destinations[0].end = Some(EndReason::Failed);
        assert_eq!(covered.verdict(), "linkedin ended by a failure, so far.");
        covered.destinations[0].on_air_at_s = None;
        assert_eq!(covered.verdict(), "Nothing was ever on air.");
    }

    #[test]
    fn the_summary() {
        let mut entries = show();
        entries.insert(
            1,
            crate::session::report::fold::tests::entry(
                0.1,
                Event::Anyway {
                    reason: "the clock is right".into(),
                    problems: vec!["clock: stands before 2025".into()],
                },
            ),
        );
        assert_eq!(
            summary(&Report::of(&entries)),
            "session 20260731-193000, 1 h, started by anna\n\
             6.0 s were lost to outages.\n\
             started anyway by Regia: the clock is right\n  although clock: stands before 2025\n\
             destination linkedin: ended as asked; delivered 59 min 54 s, lost 6.0 s, replayed 3.5 s, undelivered 0.0 s, 2 reconnects\n  \
             at 0:10:00: 1.8 s without delivery, fibre → lte: nothing was lost (interface eth0 has no carrier)\n  \
             at 0:30:00: 36 s without delivery, lte → fibre: a part was lost (the connection was lost)\n  \
             loudness -21.6 LUFS, from -23.0 to -20.3\n\
             the engine was restarted once, 0.7 s without pictures\n\
             12 frames were left out: this machine was too slow\n\
             recorded to /rec/master.flv\n"
        );
    }
}
