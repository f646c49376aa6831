//! Ingests and uplinks: can each be reached, and is each way wide enough? Pure.

use super::super::measured::{Spared, Way};
use super::super::row::{Check, Grade, Row};
use super::{rate, split_advice};
use crate::uplink::probe::{Carried, Reached};

/// With less than this much room over the programme, what piled up in an outage can't be caught up with.
const ROOM: f64 = 1.2;
/// What came through of an offer that the way did not limit: the last round trip is still under way.
const ALL_OF_IT: f64 = 0.95;

/// One row for each way to each ingest. One that fails is a problem when its destination has no other that works.
pub fn ingests(ways: &[Way]) -> Vec<Row> {
    let row_of = |way: &Way| {
        let row = |grade, found: String, advice: String| {
            Row::new(Check::Ingest, subject(way), grade, found, advice)
        };
        match &way.result {
            Ok(reached) => row(Grade::Ok, reached_text(reached), String::new()),
            Err(error) => {
                let (found, advice) = split_advice(error);
                let others = ways.iter();
                let works =
                    |other: &&Way| other.destination == way.destination && other.result.is_ok();
                match others.filter(works).min_by_key(|other| !other.preferred) {
                    Some(other) => row(
                        Grade::Warning,
                        found.to_owned(),
                        format!("{advice}; the show can start as {}", subject(other)),
                    ),
                    None => row(Grade::Problem, found.to_owned(), advice.to_owned()),
                }
            }
        }
    };
    ways.iter().map(row_of).collect()
}

fn subject(way: &Way) -> String {
    let ingest = if way.backup_ingest {
        " (backup ingest)"
    } else {
        ""
    };
    match &way.uplink {
        Some(uplink) => format!("{}{ingest} over {uplink}", way.destination),
        None => format!("{}{ingest}", way.destination),
    }
}

fn reached_text(reached: &Reached) -> String {
    let ms = |duration: std::time::Duration| format!("{:.0} ms", duration.as_secs_f64() * 1e3);
    let tls = match reached.secured {
        Some(secured) => format!(", TLS in {}", ms(secured)),
        None => String::new(),
    };
    format!(
        "{} answered in {}{tls}, took `connect` in {}",
        reached.address,
        ms(reached.dialled),
        ms(reached.accepted)
    )
}

/// One row for each uplink that a broadcast may use: what it carries in all against what is needed.
pub fn uplinks(ways: &[Way]) -> Vec<Row> {
    let mut ids: Vec<&Option<String>> = Vec::new();
    for way in ways {
        if !ids.contains(&&way.uplink) {
            ids.push(&way.uplink);
        }
    }
    let row_of = |id: &Option<String>| {
        let own: Vec<&Way> = ways.iter().filter(|way| way.uplink == *id).collect();
        uplink(id.as_deref(), &own)
    };
    ids.into_iter().filter_map(row_of).collect()
}

/// None: no broadcast would go this way, or what is wrong with it has been said of the ingests.
fn uplink(id: Option<&str>, ways: &[&Way]) -> Option<Row> {
    let subject = id.unwrap_or("of the system");
    let row =
        |grade, found: String, advice: &str| Row::new(Check::Uplink, subject, grade, found, advice);
    let used: Vec<&&Way> = ways.iter().filter(|way| way.wanted.is_some()).collect();
    let needed: u32 = used.iter().filter_map(|way| Some(way.wanted?.kbps)).sum();
    let floor: u32 = used
        .iter()
        .filter_map(|way| Some(way.wanted?.floor_kbps))
        .sum();
    let need = rate(needed);
    let spared = |why| used.iter().any(|way| way.spared == Some(why));
    if used.is_empty() {
        return None;
    }
    if spared(Spared::Metered) {
        let found = format!("not measured, because it is metered; {need} are needed");
        return Some(row(Grade::Warning, found, "know what it carries"));
    }
    if spared(Spared::OnAir) {
        let found = format!("not measured, because a broadcast runs over it; {need} are needed");
        return Some(row(Grade::Ok, found, ""));
    }
    let (mut measured, mut offered) = (0, 0);
    for way in used.iter().copied() {
        match &way.result.as_ref().ok()?.carried {
            Some(Carried::Measured { kbps, offered_kbps }) => {
                measured += kbps;
                offered += offered_kbps;
            }
            Some(Carried::CutOff { why }) => {
                let (why, _) = split_advice(why);
                let found = format!("could not be measured: {why}; {need} are needed");
                return Some(row(Grade::Warning, found, "try a rehearsal of a minute"));
            }
            None => return None,
        }
    }
    let all = f64::from(measured) >= f64::from(offered) * ALL_OF_IT;
    let least = if all { "at least " } else { "" };
    let found = format!("carries {least}{}; {need} are needed", rate(measured));
    let share = f64::from(measured) / f64::from(needed.max(1));
    if share >= ROOM {
        return Some(row(Grade::Ok, found, ""));
    }
    let (grade, means) = if measured >= needed {
        let means = ": too little is left to catch up after an outage";
        (Grade::Warning, means)
    } else if measured >= floor {
        let means = ": the picture's bitrate will have to follow it down";
        (Grade::Warning, means)
    } else if used.iter().any(|way| way.preferred) {
        (Grade::Problem, "")
    } else {
        (Grade::Warning, ": no use as a backup")
    };
    // Every destination gets the same programme, so what fits is a share of its bitrate.
    let video = used.iter().filter_map(|way| Some(way.wanted?.video_kbps));
    let fits = f64::from(video.max().unwrap_or(0)) * share / ROOM;
    let advice = format!(
        "lower programme.video.bitrate_kbps to {:.0}, or find who else uses this uplink",
        (fits / 100.0).floor() * 100.0
    );
    Some(row(grade, format!("{found}{means}"), &advice))
}

#[cfg(test)]
mod tests {
    use super::super::super::measured::Wanted;
    use super::super::said;
    use super::*;
    use std::time::Duration;

    fn reached(carried: Option<Carried>) -> Result<Reached, String> {
        Ok(Reached {
            address: "192.0.2.7:443".parse().unwrap(),
            dialled: Duration::from_millis(12),
            secured: Some(Duration::from_millis(31)),
            accepted: Duration::from_millis(9),
            carried,
        })
    }

    fn way(uplink: &str, preferred: bool, result: Result<Reached, String>) -> Way {
        Way {
            destination: "out".into(),
            uplink: Some(uplink.into()),
            backup_ingest: false,
            preferred,
            wanted: Some(Wanted {
                kbps: 6_000,
                floor_kbps: 2_000,
                video_kbps: 5_800,
            }),
            spared: None,
            result,
        }
    }

    fn measured(kbps: u32) -> Result<Reached, String> {
        reached(Some(Carried::Measured {
            kbps,
            offered_kbps: 9_000,
        }))
    }

    fn rows(ways: Vec<Way>, of: fn(&[Way]) -> Vec<Row>) -> Vec<String> {
        said(&of(&ways))
    }

    #[test]
    fn an_ingest_that_fails_is_a_problem_only_if_nothing_else_works() {
        let refused = || {
            Err("192.0.2.7:443 refused the connection: nothing listens there; check the server's host and port".to_owned())
        };
        assert_eq!(
            rows(
                vec![
                    way("fibre", true, refused()),
                    way("lte", false, reached(None))
                ],
                ingests
            ),
            [
                "warning ingest out over fibre: 192.0.2.7:443 refused the connection: nothing listens there → check the server's host and port; the show can start as out over lte",
                "ok ingest out over lte: 192.0.2.7:443 answered in 12 ms, TLS in 31 ms, took `connect` in 9 ms",
            ]
        );
        assert_eq!(
            rows(vec![way("fibre", true, refused())], ingests),
            [
                "problem ingest out over fibre: 192.0.2.7:443 refused the connection: nothing listens there → check the server's host and port"
            ]
        );
    }

    #[test]
    fn widths() {
        let fibre = |kbps| rows(vec![way("fibre", true, measured(kbps))], uplinks).remove(0);
        let advice = "→ lower programme.video.bitrate_kbps to";
        assert_eq!(
            fibre(8_900),
            "ok uplink fibre: carries at least 8.9 Mb/s; 6.0 Mb/s are needed"
        );
        assert_eq!(
            fibre(7_300),
            "ok uplink fibre: carries 7.3 Mb/s; 6.0 Mb/s are needed"
        );
        assert_eq!(
            fibre(6_500),
            format!(
                "warning uplink fibre: carries 6.5 Mb/s; 6.0 Mb/s are needed: too little is left to catch up after an outage {advice} 5200, or find who else uses this uplink"
            )
        );
        assert_eq!(
            fibre(3_000),
            format!(
                "warning uplink fibre: carries 3.0 Mb/s; 6.0 Mb/s are needed: the picture's bitrate will have to follow it down {advice} 2400, or find who else uses this uplink"
            )
        );
        assert_eq!(
            fibre(1_000),
            format!(
                "problem uplink fibre: carries 1.0 Mb/s; 6.0 Mb/s are needed {advice} 800, or find who else uses this uplink"
            )
        );
        let backup = rows(vec![way("lte", false, measured(1_000))], uplinks).remove(0);
        assert!(
            backup.starts_with(
                "warning uplink lte: carries 1.0 Mb/s; 6.0 Mb/s are needed: no use as a backup"
            ),
            "{backup}"
        );
    }

    #[test]
    fn destinations_of_one_uplink_add_up() {
        let mut other = way("fibre", true, measured(4_000));
        other.destination = "other".into();
        assert_eq!(
            rows(vec![way("fibre", true, measured(4_000)), other], uplinks),
            [
                "warning uplink fibre: carries 8.0 Mb/s; 12.0 Mb/s are needed: the picture's bitrate will have to follow it down → lower programme.video.bitrate_kbps to 3200, or find who else uses this uplink"
            ]
        );
    }

    #[test]
    fn what_was_not_measured_is_said_so() {
        let spared = |why| {
            let mut way = way("lte", false, reached(None));
            way.spared = Some(why);
            rows(vec![way], uplinks).remove(0)
        };
        assert_eq!(
            spared(Spared::Metered),
            "warning uplink lte: not measured, because it is metered; 6.0 Mb/s are needed → know what it carries"
        );
        assert!(spared(Spared::OnAir).starts_with("ok uplink lte: not measured"));
        let cut = reached(Some(Carried::CutOff {
            why: "the server closed the connection while it stood by".into(),
        }));
        assert_eq!(
            rows(vec![way("fibre", true, cut)], uplinks),
            [
                "warning uplink fibre: could not be measured: the server closed the connection while it stood by; 6.0 Mb/s are needed → try a rehearsal of a minute"
            ]
        );
        // Of an ingest that was not reached, its own row speaks.
        let failed = Err("no answer".to_owned());
        assert!(rows(vec![way("fibre", true, failed)], uplinks).is_empty());
    }
}
