//! The configuration through the API: comments stay, versions are kept, secrets are dots, and what holds when.

use crate::rig::{Ingest, Panel, alone, end, go_live};
use serde_json::json;
use std::fs::read_to_string;

/// With a second source somebody has to say which is shown.
const SCENE: &str = "\n[[scene]]\nid = \"wide\"\nlayers = [{ source = \"main\" }]\n";

/// The first that stands against it.
fn problem(answer: &serde_json::Value) -> &serde_json::Value {
    let all = answer["problems"].as_array().unwrap().iter();
    let mut problems = all.filter(|problem| problem["severity"] == "problem");
    problems.next().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn an_edit_keeps_comments_and_holds_at_once() {
    let mut panel = Panel::start(SCENE);
    let before = read_to_string(panel.config_file()).unwrap();
    let put = json!({"kind": "test"});
    let added = panel
        .admin
        .send("PUT", "/api/v1/config/source/second", Some(put));
    assert_eq!(added.status, 200, "{}", added.text());
    let answer = added.json();
    assert_eq!(answer["applies"], "now");
    assert!(
        answer["diff"]
            .as_str()
            .unwrap()
            .contains("+id = \"second\""),
        "{answer}"
    );
    let after = read_to_string(panel.config_file()).unwrap();
    for comment in [
        "# The programme of a test.",
        "# as cameras have it",
        "# The only picture.",
        "# moves and sounds",
    ] {
        assert!(after.contains(comment), "{after}");
    }
    let ids = |value: &serde_json::Value| -> Vec<String> {
        let all = value.as_array().unwrap().iter();
        all.map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        ids(&panel.admin.get("/api/v1/sources").json()),
        ["main", "second"]
    );
    // The engine was started again, with both: the desk has two inputs.
    panel
        .regia
        .wait_status("both sources", crate::PATIENCE, |status| {
            let inputs = status["levels"]["inputs"].as_array();
            inputs.is_some_and(|all| all.iter().any(|input| input["id"] == "second"))
        });
    let log = panel.admin.get("/api/v1/log").json();
    let mut entries = log.as_array().unwrap().iter();
    let change = entries
        .rfind(|entry| entry["event"] == "config_changed")
        .unwrap();
    assert_eq!(change["who"], json!({"operator": "admin"}));
    assert_eq!(change["what"], "source second");

    // One undo; and once more is the change again.
    let undone = panel.admin.post("/api/v1/config/undo", json!({}));
    assert_eq!(undone.status, 200, "{}", undone.text());
    assert_eq!(read_to_string(panel.config_file()).unwrap(), before);
    assert_eq!(
        panel.admin.post("/api/v1/config/undo", json!({})).status,
        200
    );
    assert_eq!(read_to_string(panel.config_file()).unwrap(), after);
    let versions = panel.admin.get("/api/v1/config/versions").json();
    assert_eq!(versions.as_array().unwrap().len(), 3, "{versions}");
    assert_eq!(
        panel
            .admin
            .send("DELETE", "/api/v1/config/source/second", None)
            .status,
        200
    );
    assert_eq!(
        panel
            .admin
            .send("DELETE", "/api/v1/config/source/second", None)
            .status,
        404
    );
}

#[test]
fn a_bad_configuration_changes_nothing_and_an_old_version_neither() {
    let panel = Panel::start("");
    let before = read_to_string(panel.config_file()).unwrap();
    let shown = panel.admin.get("/api/v1/config");
    let etag = shown.header("etag").unwrap().to_owned();
    assert_eq!(
        shown.json()["etag"].as_str().unwrap(),
        etag.trim_matches('"')
    );
    let text = shown.json()["text"].as_str().unwrap().to_owned();

    let without = panel
        .admin
        .send("PUT", "/api/v1/config", Some(json!({"text": text})));
    assert_eq!(
        (without.status, without.code().as_str()),
        (428, "regia:if-match")
    );
    let client = panel.admin.with("If-Match", &etag);
    let bad = json!({"text": text.replace("fps = 30", "fps = \"x\"")});
    let checked = client.post("/api/v1/config/check", bad.clone()).json();
    assert_eq!(problem(&checked)["path"], "programme.fps", "{checked}");
    assert!(checked["diff"].as_str().unwrap().contains("+fps = \"x\""));
    let refused = client.send("PUT", "/api/v1/config", Some(bad));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (422, "regia:config")
    );
    assert_eq!(problem(&refused.json())["line"], 5, "{}", refused.text());
    assert_eq!(read_to_string(panel.config_file()).unwrap(), before);
    assert_eq!(
        panel.admin.post("/api/v1/config/undo", json!({})).status,
        409
    );

    let good = json!({"text": text.replace("bitrate_kbps = 800", "bitrate_kbps = 900")});
    let put = client.send("PUT", "/api/v1/config", Some(good.clone()));
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(panel.regia.status().unwrap()["video_kbps"], 900);
    // Somebody else looked before that.
    let late = client.send("PUT", "/api/v1/config", Some(json!({"text": text})));
    assert_eq!((late.status, late.code().as_str()), (412, "regia:changed"));
    let late = client.send(
        "PUT",
        "/api/v1/config/source/x",
        Some(json!({"kind": "test"})),
    );
    assert_eq!(late.status, 412);
    let etag = put.header("etag").unwrap().to_owned();
    let next = panel.admin.with("If-Match", &etag);
    assert_eq!(next.send("PUT", "/api/v1/config", Some(good)).status, 200);
}

#[test]
fn on_air_a_change_waits_for_the_end_and_dots_keep_a_key() {
    let _alone = alone();
    let mut ingest = Ingest::start();
    let mut panel = Panel::start(&ingest.destination("show"));
    let shown = panel.admin.get("/api/v1/destinations").json();
    assert_eq!(shown[0]["key"], "••••");
    go_live(&mut panel);
    let mut changed = shown[0].as_object().unwrap().clone();
    changed.insert("catch_up".to_owned(), json!(3.5));
    let put = panel.admin.send(
        "PUT",
        "/api/v1/config/destination/show",
        Some(changed.into()),
    );
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.json()["applies"], "after the broadcast");
    let file = read_to_string(panel.config_file()).unwrap();
    assert!(
        file.contains("key = \"a-key-of-show\"") && file.contains("catch_up = 3.5"),
        "{file}"
    );
    let status = panel.regia.status().unwrap();
    assert_eq!(status["state"], "ON AIR");
    let pid = status["engine_pid"].clone();
    assert!(
        status["notices"]
            .to_string()
            .contains("holds from the end of this broadcast"),
        "{status}"
    );
    end(&mut panel);
    let status = panel
        .regia
        .wait_status("the new configuration", crate::PATIENCE, |status| {
            status["notices"].as_array().is_some_and(Vec::is_empty)
        });
    // What the engine makes was not changed, so it goes on.
    assert_eq!(status["engine_pid"], pid);
    // And the next broadcast goes.
    go_live(&mut panel);
    end(&mut panel);
    let report = ingest.report();
    let publishes = report["streams"][0]["publishes"].as_array().unwrap();
    assert_eq!(publishes.len(), 2, "{report}");
    assert!(
        publishes.iter().all(|one| one["ended"] == "deleted"),
        "{report}"
    );
}

#[test]
fn what_holds_only_after_a_restart_is_said() {
    let panel = Panel::start(&format!(
        "{SCENE}\n[[uplink]]\nid = \"spare\"\ninterface = \"lo\"\n[panel]\nlisten = \"127.0.0.1:0\"\n"
    ));
    let uplinks = panel.admin.get("/api/v1/uplinks").json();
    assert_eq!(
        uplinks,
        json!([{"id": "spare", "interface": "lo"}]),
        "no destination names it"
    );
    let put = |text: String| {
        let etag = panel.admin.get("/api/v1/config").json()["etag"].clone();
        let client = panel.admin.with("If-Match", etag.as_str().unwrap());
        let answer = client.send("PUT", "/api/v1/config", Some(json!({"text": text})));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let before = read_to_string(panel.config_file()).unwrap();
    let other = put(before.replace("id = \"spare\"", "id = \"second\""));
    assert_eq!(
        (&other["applies"], &other["panel_after_restart"]),
        (&json!("now"), &json!(false))
    );
    let desks = put(format!(
        "{before}[panel.obs_websocket]\nlisten = \"127.0.0.1:0\"\n"
    ));
    assert_eq!(desks["panel_after_restart"], true, "{desks}");
    // It goes on waiting, whatever else is saved; taken back, nothing waits.
    let undone = panel.admin.post("/api/v1/config/undo", json!({})).json();
    assert_eq!(undone["panel_after_restart"], false, "{undone}");
}

#[test]
fn the_log_is_in_sentences() {
    let panel = Panel::start(SCENE);
    panel
        .admin
        .post("/api/v1/live/mark", json!({"text": "hello"}));
    let log = panel.admin.get("/api/v1/log").json();
    let entries = log.as_array().unwrap();
    let mark = entries.iter().find(|entry| entry["event"] == "marker");
    let mark = mark.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(
        (&mark["text"], &mark["mark"], &mark["who"]["operator"]),
        (&json!("Marked: hello"), &json!("hello"), &json!("admin"))
    );
    for entry in entries {
        let text = entry["text"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{entry}");
    }
}
