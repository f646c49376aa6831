//! schemathesis on the API's own description: no failure of the server, and no answer outside what is described.

use crate::client::Client;
use crate::rig::{Panel, alone};
use regia_testkit::skip;
use std::path::PathBuf;
use std::process::Command;

/// scripts/test.sh installs it.
fn schemathesis() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis")
}

#[test]
fn every_answer_is_as_described() {
    let program = schemathesis();
    if !program.exists() {
        skip::unavailable(
            "every_answer_is_as_described",
            "schemathesis is not in target/: scripts/test.sh puts it there",
        );
        return;
    }
    let _alone = alone();
    let panel = Panel::start("\n[[scene]]\nid = \"wide\"\nlayers = [{ source = \"main\" }]\n");
    let script = panel.script("admin");
    let examples = if skip::is_slow() { "200" } else { "15" };
    let out = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/api/v1/openapi.json", panel.addr))
        .args(["--header", &format!("{}: {}", script.headers[0].0, script.headers[0].1)])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--max-examples", examples, "--phases", "examples,coverage,fuzzing", "--seed", "1"])
        .args(["--generation-database", "none"])
        // Each measures the uplinks for some seconds.
        .args(["--exclude-path", "/api/v1/preflight", "--request-timeout", "60"])
        .current_dir(panel.regia.config_dir())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    eprintln!(
        "{}",
        text.lines()
            .rev()
            .take(40)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(
        out.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    // It lives.
    assert_eq!(Client::stranger(panel.addr).get("/healthz").status, 200);
}
