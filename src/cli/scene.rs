//! `regia scene`, `overlay`, `title`, `audio`: the programme's mix, from the command line.

use super::args::{AudioArgs, OverlayCommand, SceneCommand};
use super::client;
use serde_json::{Map, Value, json};
use std::path::Path;

pub async fn scene(state: &Path, command: SceneCommand) -> anyhow::Result<u8> {
    let (path, body, json) = match command {
        SceneCommand::List { json } => return list(state, json).await,
        SceneCommand::Preview { scene, json } => {
            ("/api/v1/scene/preview", json!({ "scene": scene }), json)
        }
        SceneCommand::Take(take) => {
            let (kind, ms) = match (take.fade, take.transition) {
                (Some(ms), _) => (Some("fade".to_owned()), Some(ms)),
                (None, kind) => (kind, take.ms),
            };
            let body = json!({
                "scene": take.scene,
                "transition": kind,
                "ms": ms,
                "from": take.from,
            });
            ("/api/v1/scene/take", body, take.json)
        }
        SceneCommand::Black { off, ms, json } => {
            let body = json!({ "on": !off, "ms": ms });
            ("/api/v1/scene/black", body, json)
        }
    };
    change(state, path, body, json).await
}

pub async fn overlay(state: &Path, command: OverlayCommand) -> anyhow::Result<u8> {
    let (id, on, json) = match command {
        OverlayCommand::On { id, json } => (id, true, json),
        OverlayCommand::Off { id, json } => (id, false, json),
    };
    let path = format!("/api/v1/overlays/{}", in_path(&id));
    change(state, &path, json!({ "on": on }), json).await
}

pub async fn title(
    state: &Path,
    id: &str,
    lines: Vec<String>,
    as_json: bool,
) -> anyhow::Result<u8> {
    let path = format!("/api/v1/titles/{}", in_path(id));
    change(state, &path, json!({ "lines": lines }), as_json).await
}

pub async fn audio(state: &Path, args: AudioArgs) -> anyhow::Result<u8> {
    let path = format!("/api/v1/audio/{}", in_path(&args.source));
    let mute = match (args.mute, args.unmute) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let mut change_of = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            change_of.insert(key.to_owned(), value);
        }
    };
    set("mode", args.mode.map(Value::from));
    set("mute", mute.map(Value::from));
    set("gain_db", args.gain.map(Value::from));
    set("pan", args.pan.map(Value::from));
    set("delay_ms", args.delay.map(Value::from));
    set("high_pass_hz", args.high_pass.map(Value::from));
    change(state, &path, Value::Object(change_of), args.json).await
}

/// As a segment of a path: ids need no escape, and what is none must not become another path.
fn in_path(id: &str) -> String {
    url::form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

async fn change(state: &Path, path: &str, body: Value, as_json: bool) -> anyhow::Result<u8> {
    let answer = client::request(&state.join("regia.sock"), path, Some(body)).await?;
    if as_json {
        println!("{answer}");
        return Ok(0);
    }
    let mix = &answer["status"]["mix"];
    let word = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    println!(
        "on air {}  preview {}{}",
        word(&mix["scene"]),
        word(&mix["preview"]),
        if mix["black"] == Value::Bool(true) {
            "  faded to black"
        } else {
            ""
        }
    );
    if let Some(note) = answer["note"].as_str().filter(|note| !note.is_empty()) {
        println!("{note}");
    }
    Ok(0)
}

async fn list(state: &Path, as_json: bool) -> anyhow::Result<u8> {
    let socket = state.join("regia.sock");
    let scenes = client::request(&socket, "/api/v1/scenes", None).await?;
    let status = client::request(&socket, "/api/v1/status", None).await?;
    if as_json {
        let (on_air, preview) = (&status["scene"], &status["preview"]);
        println!(
            "{}",
            json!({ "scenes": scenes, "scene": on_air, "preview": preview })
        );
        return Ok(0);
    }
    for scene in scenes.as_array().into_iter().flatten() {
        let id = scene["id"].as_str().unwrap_or_default();
        let name = scene["name"].as_str().filter(|name| *name != id);
        let tally = match id {
            id if status["scene"] == id => "on air",
            id if status["preview"] == id => "preview",
            _ => "",
        };
        println!("{tally:<8} {id:<20} {}", name.unwrap_or_default());
    }
    Ok(0)
}
