//! schemathesis on the API's own description: no failure of the server, and no answer outside what is described.

use crate::client::Client;
use crate::rig::{Panel, alone};
use regia_testkit::skip;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// scripts/test.sh installs it.
fn schemathesis() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis")
}

/// One run over some of the operations.
fn run(program: &Path, panel: &Panel, script: &Client, examples: &str, which: &[&str]) {
    let began = Instant::now();
    let (name, value) = &script.headers[0];
    let out = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/api/v1/openapi.json", panel.addr))
        .args(["--header", &format!("{name}: {value}")])
        .args(["--checks", CHECKS, "--phases", "coverage,fuzzing"])
        .args(["--max-examples", examples, "--seed", "1"])
        .args(["--generation-database", "none", "--request-timeout", "60"])
        .args(which)
        .current_dir(panel.regia.config_dir())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}\n{errors}");
    let summary = text.split("API Operations:").nth(1).unwrap_or(&text);
    eprintln!("in {:.0} s: {summary}", began.elapsed().as_secs_f64());
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
    let (examples, looks) = if skip::is_slow() {
        ("200", "20")
    } else {
        ("15", "2")
    };
    // It deletes what it finds in lists, its own token too: that comes last. A pre-flight looks at the machine for three seconds, one
    // after the other, so there are few of them.
    let tokens = "/api/v1/tokens/{id}";
    let preflight = "/api/v1/preflight";
    let but = ["--exclude-path", tokens, "--exclude-path", preflight];
    run(&program, &panel, &script, examples, &but);
    run(
        &program,
        &panel,
        &script,
        looks,
        &["--include-path", preflight],
    );
    let alive = script.get("/api/v1/status").status;
    assert_eq!(alive, 200, "the token was good to the end");
    run(
        &program,
        &panel,
        &script,
        examples,
        &["--include-path", tokens],
    );
    assert_eq!(Client::stranger(panel.addr).get("/healthz").status, 200);
}
