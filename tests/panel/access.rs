//! Who comes in: the first admin, logins, sessions, CSRF, passwords from the command line, the desk.

use crate::client::{Client, next_json, wait_json};
use crate::rig::{PASSWORD, Panel, setup_token};
use crate::{PATIENCE, REGIA};
use regia_testkit::regia::Setup;
use serde_json::json;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_first_admin_is_set_up_once_by_the_printed_link() {
    let mut panel = Panel::start("");
    let token = setup_token(&mut panel.regia);
    let again = panel.stranger().post(
        "/api/v1/setup",
        json!({"token": token, "password": "another good password"}),
    );
    assert_eq!(
        (again.status, again.code().as_str()),
        (403, "regia:setup-over")
    );
    let me = panel.admin.get("/api/v1/me").json();
    assert_eq!(
        (me["user"].as_str(), me["role"].as_str()),
        (Some("admin"), Some("admin"))
    );
    assert!(me["zone"].is_string());
    let guessed = panel.stranger().post(
        "/api/v1/login",
        json!({"user": "admin", "password": "admin"}),
    );
    assert_eq!(
        (guessed.status, guessed.code().as_str()),
        (401, "regia:wrong-password")
    );
    // Nothing of it is on the disk but hashes.
    let cookie = &panel.admin.headers[0].1["regia=".len()..];
    let state = panel.regia.state_dir().to_owned();
    for entry in std::fs::read_dir(state).unwrap().flatten() {
        let text = std::fs::read(entry.path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        for secret in [cookie, PASSWORD, token.as_str()] {
            assert!(!text.contains(secret), "{} has it", entry.path().display());
        }
    }
}

#[test]
fn a_session_that_was_put_upon_a_browser_is_worth_nothing() {
    let panel = Panel::start("");
    let planted = "A".repeat(43);
    let victim = panel.stranger().with("Cookie", &format!("regia={planted}"));
    let login = json!({"user": "admin", "password": PASSWORD});
    let answer = victim.post("/api/v1/login", login.clone());
    let cookie = answer.cookie().unwrap();
    assert_ne!(cookie, planted);
    let line = answer.header("set-cookie").unwrap();
    for wanted in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(line.contains(wanted), "{line}");
    }
    assert_eq!(victim.get("/api/v1/me").status, 401);
    // A login with a session of its own ends that one.
    let first = Client::session(panel.addr, &answer);
    let second = Client::session(panel.addr, &first.post("/api/v1/login", login));
    assert_eq!(first.get("/api/v1/me").status, 401);
    assert_eq!(second.get("/api/v1/me").status, 200);
    assert_eq!(second.post("/api/v1/logout", json!({})).status, 204);
    assert_eq!(second.get("/api/v1/me").status, 401);
}

#[test]
fn what_changes_something_proves_that_it_is_the_panel() {
    let panel = Panel::start("");
    let mark = |client: &Client| client.post("/api/v1/live/mark", json!({"text": "x"}));
    assert_eq!(mark(&panel.admin).status, 200);
    let without = mark(&panel.admin.without("X-Regia-CSRF"));
    assert_eq!(
        (without.status, without.code().as_str()),
        (403, "regia:csrf")
    );
    let other = panel.user("olga", "operator");
    let others = other
        .headers
        .iter()
        .find(|(name, _)| name == "X-Regia-CSRF")
        .unwrap();
    let of_another = mark(&panel.admin.with("X-Regia-CSRF", &others.1));
    assert_eq!(
        (of_another.status, of_another.code().as_str()),
        (403, "regia:csrf")
    );
    for origin in ["http://evil.example", "null", "https://127.0.0.1:1"] {
        let foreign = mark(&panel.admin.with("Origin", origin));
        assert_eq!(
            (foreign.status, foreign.code().as_str()),
            (403, "regia:foreign-origin")
        );
        for path in ["/api/v1/events", "/api/v1/preview/programme.flv"] {
            let socket = panel.admin.with("Origin", origin).socket(path);
            assert_eq!(socket.err(), Some(403), "{path} from {origin}");
        }
        let login = json!({"user": "admin", "password": PASSWORD});
        let login = panel
            .stranger()
            .with("Origin", origin)
            .post("/api/v1/login", login);
        assert_eq!(login.status, 403);
    }
    let own = panel
        .admin
        .with("Origin", &format!("http://{}", panel.addr));
    assert_eq!(mark(&own).status, 200);
    assert!(own.socket("/api/v1/events").is_ok());
    // A form of another site sends no JSON.
    let form = format!(
        "POST /api/v1/live/mark HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\nX-Regia-CSRF: {}\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}",
        panel.addr, panel.admin.headers[0].1, panel.admin.headers[1].1
    );
    assert_eq!(panel.stranger().raw(form.as_bytes()).unwrap().status, 415);
}

#[test]
fn a_new_password_ends_the_sessions_and_the_last_admin_stays() {
    let panel = Panel::start("");
    let olga = panel.user("olga", "operator");
    let mut socket = olga.socket("/api/v1/events").unwrap();
    next_json(&mut socket);
    let changed = panel.admin.send(
        "PUT",
        "/api/v1/users/olga",
        Some(json!({"password": "quite another password"})),
    );
    assert_eq!(changed.status, 200);
    assert_eq!(olga.get("/api/v1/me").status, 401);
    let closed = Instant::now();
    while socket.read().is_ok() {
        assert!(closed.elapsed() < PATIENCE, "its events go on");
    }
    for change in [
        panel.admin.send("DELETE", "/api/v1/users/admin", None),
        panel.admin.send(
            "PUT",
            "/api/v1/users/admin",
            Some(json!({"role": "viewer"})),
        ),
    ] {
        assert_eq!(
            (change.status, change.code().as_str()),
            (409, "regia:last-admin")
        );
    }
    assert_eq!(
        panel
            .admin
            .send("DELETE", "/api/v1/users/olga", None)
            .status,
        200
    );
    let short = json!({"name": "kim", "role": "viewer", "password": "short"});
    let short = panel.admin.post("/api/v1/users", short);
    assert_eq!(
        (short.status, short.code().as_str()),
        (422, "regia:bad-password")
    );
}

fn passwd(state: &std::path::Path, user: &str, password: &str) -> String {
    let mut child = Command::new(REGIA)
        .args(["passwd", user, "--state"])
        .arg(state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{password}").unwrap();
    drop(stdin);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn a_password_is_set_on_the_box_with_and_without_the_daemon() {
    let mut panel = Panel::start("");
    let said = passwd(panel.regia.state_dir(), "vera", PASSWORD);
    assert!(!said.contains(PASSWORD));
    let vera = panel.log_in("vera");
    assert_eq!(vera.get("/api/v1/me").json()["role"], "admin");
    let state = tempfile::tempdir().unwrap();
    std::fs::create_dir(state.path().join("state")).unwrap();
    // And before the first start: then no link is needed, and none is printed.
    assert!(panel.regia.terminate(PATIENCE).success());
    passwd(&state.path().join("state"), "admin", PASSWORD);
    let config = state.path().join("regia.toml");
    let text = format!(
        "{}\n[panel]\nlisten = \"127.0.0.1:0\"\n",
        crate::rig::PROGRAMME
    );
    std::fs::write(&config, text).unwrap();
    let mut process = regia_testkit::process::Launch::new(REGIA)
        .arg("run")
        .arg("--config")
        .arg(&config)
        .arg("--state")
        .arg(state.path().join("state"))
        .spawn();
    let line = process.wait_line("the panel is there", PATIENCE).text;
    let addr = line.split_once("://").unwrap().1.trim().parse().unwrap();
    let login = json!({"user": "admin", "password": PASSWORD});
    assert_eq!(
        Client::stranger(addr).post("/api/v1/login", login).status,
        200
    );
    assert!(!process.text().contains("/setup#"));
    process.terminate(PATIENCE);
}

#[test]
fn the_command_line_needs_no_password_and_others_can_not_reach_its_socket() {
    use std::os::unix::fs::PermissionsExt;
    let panel = Panel::start("");
    assert_eq!(
        panel.regia.cli(&["live", "mark", "from the box"]).code,
        Some(0)
    );
    let socket = panel.regia.state_dir().join("regia.sock");
    let mode = std::fs::metadata(socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn one_holds_the_desk_and_it_is_free_when_their_browser_has_gone() {
    let panel = Panel::start("");
    let (anna, ben) = (
        panel.user("anna", "operator"),
        panel.user("ben", "operator"),
    );
    let mut annas = anna.socket("/api/v1/events").unwrap();
    let mut bens = ben.socket("/api/v1/events").unwrap();
    let start = |client: &Client| {
        client
            .post("/api/v1/live/start", json!({"anyway": "x"}))
            .code()
    };
    // Nobody holds it: nobody is kept out. (There is no destination to start.)
    assert_eq!(start(&ben), "regia:no-destination");
    let taken = anna.post("/api/v1/desk/take", json!({})).json();
    assert_eq!(
        taken,
        json!({"holder": "anna", "mine": true, "asked_by": null})
    );
    assert_eq!(start(&anna), "regia:no-destination");
    assert_eq!(start(&ben), "regia:desk");
    assert_eq!(ben.post("/api/v1/desk/take", json!({})).status, 409);
    assert_eq!(
        start(&panel.script("operator")),
        "regia:no-destination",
        "scripts have no desk"
    );
    // The same person in another browser is another one.
    assert_eq!(start(&panel.log_in("anna")), "regia:desk");
    ben.post("/api/v1/desk/ask", json!({}));
    let told = wait_json(&mut annas, "the question", |m| {
        m["desk"]["asked_by"] == "ben"
    });
    assert_eq!(told["desk"]["mine"], true);
    anna.post("/api/v1/desk/release", json!({}));
    let told = wait_json(&mut bens, "the desk", |m| {
        m["kind"] == "desk" && m["desk"]["holder"] == "ben"
    });
    assert_eq!(told["desk"]["mine"], true);
    // Ben's browser is killed: no goodbye.
    let gone = Instant::now();
    drop(bens);
    let free = wait_json(&mut annas, "the desk free", |m| {
        m["kind"] == "desk" && m["desk"]["holder"].is_null()
    });
    assert_eq!(free["desk"]["mine"], false);
    let took = gone.elapsed();
    eprintln!("the desk was free after {:.1} s", took.as_secs_f64());
    assert!(
        took > Duration::from_secs(8),
        "a reload of the page must not lose it: {took:?}"
    );
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn the_log_says_who_did_it() {
    let mut panel = Panel::start("");
    let olga = panel.user("olga", "operator");
    olga.post("/api/v1/live/mark", json!({"text": "by olga"}));
    panel
        .script("operator")
        .post("/api/v1/live/mark", json!({"text": "by script"}));
    panel.regia.cli(&["live", "mark", "by the box"]);
    let log = olga.get("/api/v1/log").json();
    let who = |text: &str| {
        let mut entries = log.as_array().unwrap().iter();
        let found = entries.rfind(|entry| entry["mark"] == text);
        found.unwrap_or_else(|| panic!("{text} is not in {log}"))["who"].clone()
    };
    assert_eq!(who("by olga"), json!({"operator": "olga"}));
    assert_eq!(
        who("by script"),
        json!({"operator": "token operator script"})
    );
    assert_eq!(who("by the box"), json!("cli"));
    // A user, a session and a token outlive the daemon.
    let config = std::fs::read_to_string(panel.config_file()).unwrap();
    let state = panel.regia.state_dir().to_owned();
    assert!(panel.regia.process.terminate(PATIENCE).success());
    let path = panel.config_file();
    std::fs::write(
        &path,
        config.replace("127.0.0.1:0", &panel.addr.to_string()),
    )
    .unwrap();
    let mut process = regia_testkit::process::Launch::new(REGIA)
        .arg("run")
        .arg("--config")
        .arg(&path)
        .arg("--state")
        .arg(&state)
        .spawn();
    process.wait_line("the panel is there", PATIENCE);
    assert_eq!(olga.get("/api/v1/me").json()["user"], "olga");
    process.terminate(PATIENCE);
}

#[test]
fn a_double_click_is_one_request() {
    let panel = Panel::start("");
    let click = panel.admin.with("Idempotency-Key", "click-1");
    for _ in 0..3 {
        assert_eq!(
            click
                .post("/api/v1/live/mark", json!({"text": "once"}))
                .status,
            200
        );
    }
    let other = click.post("/api/v1/live/mark", json!({"text": "another"}));
    assert_eq!(
        (other.status, other.code().as_str()),
        (422, "regia:idempotency-reused")
    );
    let log = panel.admin.get("/api/v1/log").json();
    let marks = log
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["event"] == "marker");
    assert_eq!(marks.count(), 1, "{log}");
}

#[test]
fn a_port_that_is_taken_keeps_nothing_off_the_air() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "{}\n[panel]\nlisten = \"{}\"\n",
        crate::rig::PROGRAMME,
        taken.local_addr().unwrap()
    );
    let mut regia = Setup::new(REGIA, config).not_live().start();
    regia.process.wait_line("there is no panel", PATIENCE);
    regia.wait_status("STANDBY", PATIENCE, |status| status["state"] == "STANDBY");
}
