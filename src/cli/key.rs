//! `regia key …`: through the daemon where one runs, or else in its store.

use super::args::KeyCommand;
use super::client;
use crate::panel::keys::{List, Shown};
use crate::session::keys::{Keyring, Memory};
use crate::store::SlotSettings;
use anyhow::{Context, bail};
use serde_json::json;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// Longer than any key.
const KEY_MAX: u64 = 64 * 1024;

pub async fn key(state: &Path, command: KeyCommand) -> anyhow::Result<u8> {
    match command {
        KeyCommand::Set {
            slot,
            single_use,
            occurrence,
            json,
        } => {
            let settings = SlotSettings {
                single_use,
                occurrence,
            };
            let saved = set(state, &slot, settings).await?;
            show(json, &saved, || {
                println!("{}: {}", saved.slot, saved.fingerprint)
            })
        }
        KeyCommand::List { json } => {
            let list = list(state).await?;
            show(json, &list, || print(&list))
        }
        KeyCommand::Delete { slot, json } => {
            let list = delete(state, &slot).await?;
            show(json, &list, || print(&list))
        }
    }
}

fn show(json: bool, value: &impl serde::Serialize, text: impl FnOnce()) -> anyhow::Result<u8> {
    if json {
        println!("{}", serde_json::to_string(value)?);
    } else {
        text();
    }
    Ok(0)
}

fn print(list: &List) {
    if list.keys.is_empty() {
        println!("no key is saved; `regia key set SLOT` saves the one on its standard input");
    }
    for key in &list.keys {
        let once = if key.single_use {
            ", for one broadcast"
        } else {
            ""
        };
        let bound = key.occurrence.as_deref().map(|o| format!(", for {o}"));
        println!(
            "{}: {}{once}{}",
            key.slot,
            key.fingerprint,
            bound.unwrap_or_default()
        );
    }
}

/// Never from an argument: every user of the machine can read those.
fn read_key() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("The key, then Ctrl-D on a line of its own:");
    }
    let mut key = String::new();
    stdin
        .lock()
        .take(KEY_MAX)
        .read_to_string(&mut key)
        .context("the key on standard input can't be read")?;
    Ok(key)
}

/// No daemon runs: its store is ours.
fn keyring(state: &Path) -> anyhow::Result<Keyring> {
    std::fs::create_dir_all(state)
        .with_context(|| format!("cannot make the state directory {}", state.display()))?;
    let memory = Memory::open(state, super::credentials().as_deref())?;
    for notice in &memory.notices {
        eprintln!("{notice}");
    }
    Ok(Keyring::new(Some(memory.store), memory.vault))
}

async fn set(state: &Path, slot: &str, settings: SlotSettings) -> anyhow::Result<Shown> {
    crate::store::check_name(slot)?;
    let key = read_key()?;
    let socket = state.join("regia.sock");
    if client::is_there(&socket).await {
        let body = json!({
            "key": key,
            "single_use": settings.single_use,
            "occurrence": settings.occurrence,
        });
        let path = format!("/api/v1/keys/{slot}");
        let saved = client::request_by(&socket, "PUT", &path, Some(body)).await?;
        return Ok(serde_json::from_value(saved)?);
    }
    let saved = keyring(state)?.save(slot, &key, settings).await?;
    Ok(Shown::of(&saved))
}

async fn list(state: &Path) -> anyhow::Result<List> {
    let socket = state.join("regia.sock");
    if client::is_there(&socket).await {
        let list = client::request(&socket, "/api/v1/keys", None).await?;
        return Ok(serde_json::from_value(list)?);
    }
    let keys = keyring(state)?.list().await?;
    Ok(List {
        keys: keys.iter().map(Shown::of).collect(),
    })
}

async fn delete(state: &Path, slot: &str) -> anyhow::Result<List> {
    crate::store::check_name(slot)?;
    let socket = state.join("regia.sock");
    if client::is_there(&socket).await {
        let path = format!("/api/v1/keys/{slot}");
        let list = client::request_by(&socket, "DELETE", &path, None).await?;
        return Ok(serde_json::from_value(list)?);
    }
    let keyring = keyring(state)?;
    if !keyring.delete(slot).await? {
        bail!("there is no key in that slot");
    }
    let keys = keyring.list().await?;
    Ok(List {
        keys: keys.iter().map(Shown::of).collect(),
    })
}
