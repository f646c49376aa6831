//! `regia live report`: what happened in a broadcast.

use super::args::ReportArgs;
use super::client;
use crate::session::report::{Report, page, summary};
use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::path::Path;

pub async fn report(state: &Path, args: ReportArgs) -> anyhow::Result<u8> {
    let socket = state.join("regia.sock");
    if args.list {
        let sessions = client::request(&socket, "/api/v1/sessions", None).await?;
        if args.json {
            println!("{sessions}");
        } else {
            print!("{}", listed(&sessions));
        }
        return Ok(0);
    }
    let session = match args.session {
        Some(session) => session,
        None => {
            let sessions = client::request(&socket, "/api/v1/sessions", None).await?;
            match sessions[0]["session"].as_str() {
                Some(newest) => newest.to_owned(),
                None => bail!("there was no broadcast yet"),
            }
        }
    };
    // An id has digits and dashes; whatever else is given must not become another path.
    let id: String = url::form_urlencoded::byte_serialize(session.as_bytes()).collect();
    let value = client::request(&socket, &format!("/api/v1/sessions/{id}"), None).await?;
    let report: Report = serde_json::from_value(value)
        .context("the daemon is of another version than this command")?;
    if let Some(path) = &args.html {
        std::fs::write(path, page(&report, &TimeZone::system()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else if args.html.is_none() {
        print!("{}", summary(&report));
    }
    Ok(0)
}

fn listed(sessions: &Value) -> String {
    let time = |value: &Value| {
        let at = Timestamp::from_millisecond(value.as_i64()?).ok()?;
        let at = at.to_zoned(TimeZone::system());
        Some(at.strftime("%-d %B %Y, %H:%M").to_string())
    };
    let mut text = String::new();
    for session in sessions.as_array().into_iter().flatten() {
        let id = session["session"].as_str().unwrap_or_default();
        let until = time(&session["ended_ms"]).unwrap_or_else(|| "under way".to_owned());
        let from = time(&session["started_ms"]).unwrap_or_default();
        text.push_str(&format!("{id}  {from} – {until}\n"));
    }
    text
}
