//! `regia live …`.

use super::args::LiveCommand;
use super::{client, report};
use crate::session::event::span;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

pub async fn live(state: PathBuf, command: LiveCommand) -> anyhow::Result<u8> {
    let socket = state.join("regia.sock");
    let (path, body, json) = match command {
        LiveCommand::Start {
            destination,
            anyway,
            occurrence,
            json,
        } => {
            let body = json!({
                "destinations": destination,
                "anyway": anyway,
                "occurrence": occurrence,
            });
            ("/api/v1/live/start", Some(body), json)
        }
        LiveCommand::Stop {
            session,
            confirm,
            destination,
            json,
        } => {
            // What is stopped is what ran when the command was given, and nothing that began since.
            let session = match session {
                Some(session) => Value::from(session),
                None => client::request(&socket, "/api/v1/status", None).await?["session"].take(),
            };
            let body = json!({
                "session": session,
                "destinations": destination,
                "confirm": confirm,
            });
            ("/api/v1/live/stop", Some(body), json)
        }
        LiveCommand::Extend {
            destination,
            minutes,
            json,
        } => {
            let body = json!({ "destination": destination, "by_s": minutes * 60.0 });
            ("/api/v1/live/extend", Some(body), json)
        }
        LiveCommand::Dump { json } => ("/api/v1/live/dump", Some(json!({})), json),
        LiveCommand::Mark { text, json } => {
            ("/api/v1/live/mark", Some(json!({ "text": text })), json)
        }
        LiveCommand::Report(args) => return report::report(&state, args).await,
        LiveCommand::Status { json } => ("/api/v1/status", None, json),
    };
    let status = client::request(&socket, path, body).await?;
    if json {
        println!("{status}");
    } else {
        print!("{}", text(&status));
    }
    Ok(0)
}

/// The status for people.
fn text(status: &Value) -> String {
    let word = |value: &Value, name: &str| value[name].as_str().unwrap_or("–").to_owned();
    let number = |value: &Value, name: &str| value[name].as_f64().unwrap_or(0.0);
    let elapsed = number(status, "elapsed_s") as u64;
    let mut text = format!(
        "{}  {:02}:{:02}:{:02}  scene {}  video {} kb/s\n",
        word(status, "state"),
        elapsed / 3600,
        elapsed / 60 % 60,
        elapsed % 60,
        word(status, "scene"),
        number(status, "video_kbps"),
    );
    if let Some(left) = status["ending_s"].as_f64() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "what is left takes {}", span(left));
    }
    if let Some(session) = status["session"].as_str() {
        let _ = writeln!(text, "broadcast {session}");
    }
    for notice in status["notices"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "{}", notice.as_str().unwrap_or_default());
    }
    let dropped = number(status, "dropped_frames");
    if dropped > 0.0 {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{dropped} frames left out: this machine is too slow for the programme"
        );
    }
    for source in status["sources"].as_array().into_iter().flatten() {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "source {}: {} {}",
            word(source, "id"),
            word(source, "state"),
            word(source, "detail")
        );
    }
    for to in status["destinations"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "destination {}: {}{}{}, {:.1} Mb/s, hold {:.0} of {:.0} s used, {:.0} s of outage left, shed {:.1} s, replayed {:.1} s, {} reconnects",
            word(to, "id"),
            word(to, "state"),
            to["ingest"]
                .as_str()
                .map(|ingest| format!(" to {ingest}"))
                .unwrap_or_default(),
            to["uplink"]
                .as_str()
                .map(|uplink| format!(" over {uplink}"))
                .unwrap_or_default(),
            number(to, "bitrate_kbps") / 1000.0,
            number(to, "hold_used_s"),
            number(to, "hold_s"),
            number(to, "outage_left_s"),
            number(to, "shed_s"),
            number(to, "replayed_s"),
            number(to, "reconnects"),
        );
        if let Some(left) = to["ends_in_s"].as_f64() {
            let _ = writeln!(text, "  ends in {}", span(left));
        }
        if let Some(standby) = to["standby"].as_str() {
            let _ = writeln!(text, "  ready to take over: {standby}");
        }
        if let Some(error) = to["error"].as_str() {
            let _ = writeln!(text, "  {error}");
        }
    }
    text
}
