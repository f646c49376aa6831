//! Goes every way that a broadcast could take, all at once, and publishes nothing. Shell.

use super::measured::{Spared, Wanted, Way};
use crate::config::{Destination, Mode, Programme, Settings};
use crate::rtmp::PublisherSettings;
use crate::secret::Secret;
use crate::uplink::destination::{CHUNK_SIZE, lane_routes};
use crate::uplink::lane::Route;
use crate::uplink::meter::Load;
use crate::uplink::probe::{Probe, probe};
use crate::uplink::tls::client_config;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// From an ingest's name to its answer. With what follows it must end within pre-flight's ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// A second for TCP to find the way's width, and two to count.
const MEASURED_FOR: Duration = Duration::from_secs(3);
/// Of what the programme needs, so that room to catch up shows too.
const OFFERED: f64 = 1.5;
/// RTMP's, FLV's and TLS's own bytes, and the encoder's drift over its bitrate.
const OVERHEAD: f64 = 1.03;

/// What the ways are to carry: rates over the wire, in kb/s.
pub fn wanted(programme: &Programme, destination: &Destination) -> Wanted {
    let video = &programme.video;
    let over_the_wire =
        |kbps: u32| (f64::from(kbps + programme.audio.bitrate_kbps) * OVERHEAD) as u32;
    let floor = if destination.steer {
        video.min_bitrate_kbps
    } else {
        video.bitrate_kbps
    };
    Wanted {
        kbps: over_the_wire(video.bitrate_kbps),
        floor_kbps: over_the_wire(floor),
        video_kbps: video.bitrate_kbps,
    }
}

/// Tries all ways of `destinations`. Uplinks in `on_air` (None: the system's routing) carry a broadcast and are not loaded.
pub async fn ways(
    settings: &Settings,
    destinations: &[Destination],
    on_air: &BTreeSet<Option<String>>,
) -> Vec<Way> {
    let mut tried = JoinSet::new();
    for destination in destinations {
        let (ways, probes) = plan(settings, destination, on_air);
        for (way, probe) in ways.into_iter().zip(probes) {
            let number = tried.len();
            tried.spawn(async move { (number, go(way, probe).await) });
        }
    }
    let mut ways = tried.join_all().await;
    ways.sort_by_key(|(number, _)| *number);
    ways.into_iter().map(|(_, way)| way).collect()
}

async fn go(way: Way, planned: Result<Probe, String>) -> Way {
    let result = match planned {
        Ok(planned) => probe(&planned).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    Way { result, ..way }
}

/// The ways of one destination, and how to try each, or why that can't be.
fn plan(
    settings: &Settings,
    destination: &Destination,
    on_air: &BTreeSet<Option<String>>,
) -> (Vec<Way>, Vec<Result<Probe, String>>) {
    let lanes = match lane_routes(destination, &settings.uplinks) {
        Ok(lanes) => lanes,
        Err(error) => {
            let way = Way::new(destination, None);
            return (vec![way], vec![Err(error.to_string())]);
        }
    };
    let trust = client_config(destination.tls_ca_file.as_deref());
    let wanted = wanted(&settings.programme, destination);
    let (mut ways, mut probes) = (Vec::new(), Vec::new());
    for route in lanes.iter().flat_map(|lane| lane.iter().enumerate()) {
        let way = way(destination, route, wanted, on_air);
        let load = Load {
            kbps: (f64::from(wanted.kbps) * OFFERED) as u32,
            lasting: MEASURED_FOR,
        };
        let loaded = way.wanted.is_some() && way.spared.is_none();
        probes.push(match &trust {
            Ok(tls) => Ok(Probe {
                server: route.1.server.clone(),
                way: route.1.way.clone(),
                tls: Arc::clone(tls),
                publisher: PublisherSettings {
                    app: route.1.server.app.clone(),
                    tc_url: route.1.server.tc_url.clone(),
                    // It is sent only with a publish.
                    key: Secret::new(""),
                    credentials: destination.credentials.clone(),
                    chunk_size: CHUNK_SIZE,
                },
                patience: PATIENCE,
                load: loaded.then_some(load),
            }),
            Err(error) => Err(error.to_string()),
        });
        ways.push(way);
    }
    (ways, probes)
}

/// A lane's way by its place in the order of preference. To carry a load are: with one lane, every uplink to the first
/// ingest; with two, each lane's own.
fn way(
    destination: &Destination,
    (place, route): (usize, &Route),
    wanted: Wanted,
    on_air: &BTreeSet<Option<String>>,
) -> Way {
    let carries = match destination.mode {
        Mode::Failover => route.path.ingest == 0,
        Mode::Both => place == 0,
    };
    let spared = if !carries {
        None
    } else if on_air.contains(&route.uplink) {
        Some(Spared::OnAir)
    } else {
        route.path.metered.then_some(Spared::Metered)
    };
    Way {
        backup_ingest: route.path.ingest > 0,
        preferred: place == 0,
        wanted: carries.then_some(wanted),
        spared,
        ..Way::new(destination, route.uplink.clone())
    }
}

impl Way {
    /// Not gone yet.
    fn new(destination: &Destination, uplink: Option<String>) -> Self {
        Way {
            destination: destination.id.clone(),
            uplink,
            backup_ingest: false,
            preferred: true,
            wanted: None,
            spared: None,
            result: Err("it was not tried".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{System, parse};

    fn settings(lines: &str) -> Settings {
        let text = format!(
            "[programme.video]\nbitrate_kbps = 6000\nmin_bitrate_kbps = 2000\n[[source]]\nid = \"a\"\nkind = \"test\"\n\
             [[uplink]]\nid = \"fibre\"\ninterface = \"lo\"\n[[uplink]]\nid = \"lte\"\ninterface = \"lo\"\nmetered = true\n\
             [[destination]]\nid = \"out\"\nserver = \"rtmp://192.0.2.1/app\"\nbackup_server = \"rtmp://192.0.2.2/app\"\n\
             key = \"k\"\nuplinks = [\"fibre\", \"lte\"]\n{lines}"
        );
        parse(&text, "test", &System).unwrap().settings
    }

    /// uplink, backup ingest, preferred, loaded, spared
    fn planned(lines: &str, on_air: &[&str]) -> Vec<(String, bool, bool, bool, Option<Spared>)> {
        let settings = settings(lines);
        let on_air = on_air.iter().map(|id| Some((*id).to_owned())).collect();
        let (ways, probes) = plan(&settings, &settings.destinations[0], &on_air);
        let row = |(way, probe): (Way, Result<Probe, String>)| {
            let loaded = probe.unwrap().load.is_some();
            let uplink = way.uplink.unwrap();
            (uplink, way.backup_ingest, way.preferred, loaded, way.spared)
        };
        ways.into_iter().zip(probes).map(row).collect()
    }

    #[tokio::test]
    async fn every_way_is_tried_and_each_uplink_that_is_free_is_measured_once() {
        let metered = Some(Spared::Metered);
        assert_eq!(
            planned("", &[]),
            [
                ("fibre".into(), false, true, true, None),
                ("fibre".into(), true, false, false, None),
                ("lte".into(), false, false, false, metered),
                ("lte".into(), true, false, false, None),
            ]
        );
        let busy = planned("", &["fibre"]);
        assert_eq!(
            busy[0],
            ("fibre".into(), false, true, false, Some(Spared::OnAir))
        );
    }

    #[tokio::test]
    async fn with_both_each_lane_has_its_own() {
        assert_eq!(
            planned("mode = \"both\"\n", &[]),
            [
                ("fibre".into(), false, true, true, None),
                ("lte".into(), false, false, false, None),
                ("lte".into(), true, true, false, Some(Spared::Metered)),
                ("fibre".into(), true, false, false, None),
            ]
        );
    }

    #[test]
    fn what_is_wanted_has_a_floor_if_it_may_follow() {
        let of = |lines| {
            let settings = settings(lines);
            wanted(&settings.programme, &settings.destinations[0])
        };
        let expected = Wanted {
            kbps: 6_311,
            floor_kbps: 2_191,
            video_kbps: 6_000,
        };
        assert_eq!(of(""), expected);
        assert_eq!(of("steer = false\n").floor_kbps, 6_311);
    }
}
