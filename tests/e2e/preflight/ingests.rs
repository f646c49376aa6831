//! What is wrong with the way to an ingest, or with the ingest.

use crate::rehearse::Rehearsal;
use crate::rows::{PROGRAMME, destination, preflight, standby};
use crate::{PATIENCE, alone};
use regia_testkit::certs::Authority;
use regia_testkit::{flv, nginx, ports};
use serde_json::Value;

const SOURCE: &str = "[[source]]\nid = \"stage\"\nkind = \"test\"\n";

/// A destination where all is right, and beside it each defect that an ingest can have.
#[test]
fn every_defect_of_an_ingest_has_its_row_and_nothing_is_published() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::start(dir.path(), true, &["--as", "linkedin"]);
    let other = tempfile::tempdir().unwrap();
    let authority = Authority::new(other.path());
    let leaf = authority.expired(&["127.0.0.1"]);
    let mut nginx = nginx::Setup::new(&dir.path().join("nginx"))
        .tls(ports::loopback(), &leaf)
        .start();
    let ca = rehearsal.ca().unwrap();
    let closed = format!("rtmp://{}/live", ports::loopback());
    let (expired, wrong) = (
        nginx.rtmps_url(),
        nginx.rtmp_url().replace("/live", "/lvie"),
    );
    let text = [
        PROGRAMME,
        SOURCE,
        &destination(
            "good",
            &rehearsal.url(),
            &format!("platform = \"linkedin\"\ntls_ca_file = {ca:?}"),
        ),
        &destination("plain", &nginx.rtmp_url(), ""),
        &destination(
            "expired",
            &expired,
            &format!("tls_ca_file = {:?}", authority.ca),
        ),
        &destination("wrong", &wrong, ""),
        &destination("closed", &closed, ""),
        &destination("unresolved", "rtmp://no-such-host.invalid/live", ""),
    ]
    .join("");
    let mut regia = standby(&text);
    let rows = preflight(&regia);
    let host = |url: &str| url.split('/').nth(2).unwrap().to_owned();
    let ingest = |id: &str| rows.row("ingest", id);
    assert!(
        ingest("good").starts_with(&format!("ok: {} answered in ", host(&rehearsal.url()))),
        "{}",
        ingest("good")
    );
    assert!(
        ingest("good").contains(" ms, TLS in ") && ingest("good").contains("took `connect` in ")
    );
    assert!(ingest("plain").starts_with("ok: "), "{}", ingest("plain"));
    assert_eq!(
        ingest("expired"),
        "problem: 127.0.0.1 shows a certificate that is not trusted: it has expired → whoever runs the server must renew it, unless this machine's clock is wrong"
    );
    assert_eq!(
        ingest("wrong"),
        "problem: the server closed the connection without answering `connect` → check the path of the server URL"
    );
    assert_eq!(
        ingest("closed"),
        format!(
            "problem: {} refused the connection: nothing listens there → check the server's host and port",
            host(&closed)
        )
    );
    assert!(
        ingest("unresolved").starts_with("problem: cannot resolve no-such-host.invalid: "),
        "{}",
        ingest("unresolved")
    );
    assert_eq!(
        rows.row("settings", "good"),
        "ok: 640×360 at 30 fps, 3000 + 128 kb/s: within what LinkedIn takes"
    );
    assert_eq!(rows.against("problem").len(), 4, "{}", rows.text());

    // A start that would run into it is refused, in a sentence; one that would not is not.
    let refused = regia.cli(&["live", "start", "--destination", "closed"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(
        refused
            .stderr
            .contains("pre-flight found a problem: ingest closed: ")
            && refused.stderr.contains("--anyway"),
        "{}",
        refused.stderr
    );
    assert_eq!(regia.status().unwrap()["state"], "STANDBY");
    let unsaid = regia.cli(&["live", "start", "--destination", "closed", "--anyway", " "]);
    assert!(
        unsaid
            .stderr
            .contains("the reason for starting anyway is empty"),
        "{}",
        unsaid.stderr
    );
    assert_eq!(regia.status().unwrap()["state"], "STANDBY");

    // Nothing was published until here, and the ingests know of nothing but connections.
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    let report = rehearsal.finish();
    assert_eq!(
        report["streams"].as_array().map(Vec::len),
        Some(0),
        "{report}"
    );
    assert!(
        rehearsal
            .process
            .text()
            .contains("closed before it published")
    );
    assert!(rehearsal.recordings().is_empty());
    nginx.stop();
    let recorded = flv::files(&dir.path().join("nginx"));
    assert!(recorded.is_empty(), "{recorded:?}");
}

/// The other half of the promise: what is all right starts, and a start anyway starts.
#[test]
fn a_start_that_nothing_stands_against_and_one_in_spite_of_it() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::start(dir.path(), false, &[]);
    let closed = format!("rtmp://{}/live", ports::loopback());
    let text = [
        PROGRAMME,
        SOURCE,
        &destination("good", &rehearsal.url(), ""),
        &destination("closed", &closed, ""),
    ]
    .join("");
    let mut regia = standby(&text);
    let started = regia.cli(&["live", "start", "--destination", "good", "--json"]);
    if started.code != Some(0) {
        // A machine that leaves out frames is a problem that pre-flight is right about.
        assert!(started.stderr.contains("left out"), "{}", started.stderr);
        let anyway = [
            "live",
            "start",
            "--destination",
            "good",
            "--anyway",
            "this machine is busy",
        ];
        assert_eq!(regia.cli(&anyway).code, Some(0));
    }
    let to = |status: &Value, id: &str| {
        let all = status["destinations"].as_array().into_iter().flatten();
        all.clone()
            .find(|to| to["id"] == id)
            .cloned()
            .unwrap_or_default()
    };
    regia.wait_status("good on air", PATIENCE, |status| {
        to(status, "good")["state"] == "on_air"
    });
    let anyway = [
        "live",
        "start",
        "--destination",
        "closed",
        "--anyway",
        "it opens at eight",
    ];
    let started = regia.cli(&anyway);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    regia.wait_status("closed being tried", PATIENCE, |status| {
        to(status, "closed")["error"].is_string()
    });
    // Of what is on air, pre-flight asks nothing and disturbs nothing.
    let rows = preflight(&regia);
    assert_eq!(rows.row("ingest", "good"), "ok: it is on air");
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    let report = rehearsal.finish();
    assert_eq!(
        report["streams"].as_array().map(Vec::len),
        Some(1),
        "{report}"
    );
}
