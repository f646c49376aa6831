//! `regia show …`, through the daemon.

use super::args::ShowCommand;
use super::client;
use crate::schedule::run::View;
use crate::schedule::{DryRun, Listed, Upcoming};
use crate::session::event::span;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{IsTerminal, Read};
use std::path::Path;

pub async fn show(state: &Path, command: ShowCommand) -> anyhow::Result<u8> {
    let socket = state.join("regia.sock");
    let get = async |path: String| client::request(&socket, &path, None).await;
    match command {
        ShowCommand::List { json } => {
            let none = String::new();
            let answer =
                client::request_text(&socket, "GET", "/api/v1/shows", "application/json", none)
                    .await?;
            if json {
                println!("{answer}");
            } else {
                print!("{}", list(serde_json::from_str(&answer)?));
            }
            Ok(0)
        }
        ShowCommand::Next { most, json } => {
            let answer = get(format!("/api/v1/schedule?most={most}")).await?;
            print(json, &answer, || upcoming(&answer))
        }
        ShowCommand::Get { id, json } => {
            let answer = get(format!("/api/v1/shows/{}", path_part(&id)?)).await?;
            print(json, &answer, || {
                Ok(answer["text"].as_str().unwrap_or_default().to_owned())
            })
        }
        ShowCommand::Add {
            file,
            replace,
            json,
        } => {
            let text = read(file.as_deref(), "a show's keys, as in the configuration")?;
            let path = format!("/api/v1/shows?replace={replace}");
            let answer =
                client::request_text(&socket, "POST", &path, "application/toml", text).await?;
            let answer: Value = serde_json::from_str(&answer)?;
            print(json, &answer, || {
                Ok(format!(
                    "saved {}\n",
                    answer["show"]["id"].as_str().unwrap_or_default()
                ))
            })
        }
        ShowCommand::Import {
            file,
            replace,
            length,
            json,
        } => {
            let text = read(file.as_deref(), "a calendar in iCalendar's form")?;
            let length = length.map(|length| format!("&length_s={}", length.as_secs_f64()));
            let path = format!(
                "/api/v1/shows/import?replace={replace}{}",
                length.unwrap_or_default()
            );
            let answer =
                client::request_text(&socket, "POST", &path, "text/calendar", text).await?;
            let answer: Value = serde_json::from_str(&answer)?;
            print(json, &answer, || Ok(imported(&answer)))
        }
        ShowCommand::Export => {
            let text = client::request_text(
                &socket,
                "GET",
                "/api/v1/shows/export",
                "text/calendar",
                String::new(),
            )
            .await?;
            print!("{text}");
            Ok(0)
        }
        ShowCommand::Delete { id, json } => {
            let path = format!("/api/v1/shows/{}", path_part(&id)?);
            let answer = client::request_by(&socket, "DELETE", &path, None).await?;
            print(json, &answer, || {
                Ok(list(serde_json::from_value(answer.clone())?))
            })
        }
        ShowCommand::Run {
            id,
            dry_run,
            at_start,
            json,
        } => {
            let path = format!("/api/v1/shows/{}/run", path_part(&id)?);
            let body = json!({ "dry_run": dry_run, "at_start": at_start });
            let answer = client::request(&socket, &path, Some(body)).await?;
            if !dry_run {
                return print(json, &answer, || view(&answer));
            }
            let dry: DryRun = serde_json::from_value(answer.clone())?;
            print(json, &answer, || Ok(dry_text(&dry)))?;
            Ok(if dry.ok { 0 } else { super::FAILED })
        }
        ShowCommand::Status { json } => {
            let answer = get("/api/v1/schedule?most=1".to_owned()).await?;
            print(json, &answer, || match &answer["running"] {
                Value::Null => upcoming(&answer),
                running => view(running),
            })
        }
        ShowCommand::Step { json } => step(&socket, "next", json).await,
        ShowCommand::Skip { json } => step(&socket, "skip", json).await,
        ShowCommand::Hold { json } => step(&socket, "hold", json).await,
        ShowCommand::Release { json } => step(&socket, "release", json).await,
        ShowCommand::Feed { json } => {
            let answer =
                client::request(&socket, "/api/v1/schedule/token", Some(json!({}))).await?;
            print(json, &answer, || {
                let path = answer["path"].as_str().unwrap_or_default();
                Ok(format!(
                    "subscribe to the panel's address with {path}\nIt is shown this once; an address of before is good no more.\n"
                ))
            })
        }
    }
}

async fn step(socket: &Path, what: &str, json: bool) -> anyhow::Result<u8> {
    let answer = client::request(
        socket,
        "/api/v1/shows/-/step",
        Some(json!({ "step": what })),
    )
    .await?;
    print(json, &answer, || view(&answer))
}

fn print(
    json: bool,
    answer: &Value,
    text: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<u8> {
    if json {
        println!("{answer}");
    } else {
        print!("{}", text()?);
    }
    Ok(0)
}

/// Ids have nothing that a path would read otherwise.
fn path_part(id: &str) -> anyhow::Result<&str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if id.is_empty() || !id.bytes().all(fits) {
        bail!("there is no show {id:?}; `regia show list` names them");
    }
    Ok(id)
}

fn read(file: Option<&Path>, what: &str) -> anyhow::Result<String> {
    match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("{} can't be read", file.display())),
        None => {
            if std::io::stdin().is_terminal() {
                eprintln!("{what}, then Ctrl-D on a line of its own:");
            }
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text)?;
            Ok(text)
        }
    }
}

#[derive(Deserialize)]
struct List {
    shows: Vec<Listed>,
}

fn list(List { shows }: List) -> String {
    if shows.is_empty() {
        return "no show is planned; `regia show add FILE` saves one, `regia show import FILE` a calendar's\n".to_owned();
    }
    let width = shows.iter().map(|show| show.id.len()).max().unwrap_or(0);
    let line = |show: &Listed| {
        let when = match (&show.problem, &show.next) {
            (Some(problem), _) => format!("will not run: {problem}"),
            (None, Some(next)) => next.clone(),
            (None, None) => "has been".to_owned(),
        };
        let repeat = show
            .repeat
            .as_ref()
            .map(|rule| format!("  {rule}"))
            .unwrap_or_default();
        format!(
            "{:<width$}  {when}  {}{repeat}\n",
            show.id,
            span(show.length_s)
        )
    };
    shows.iter().map(line).collect()
}

fn upcoming(answer: &Value) -> anyhow::Result<String> {
    let mut text = String::new();
    if answer["running"].is_object() {
        let view: View = serde_json::from_value(answer["running"].clone())?;
        text.push_str(&format!("{} is running\n", view.occurrence));
    }
    let all: Vec<Upcoming> = serde_json::from_value(answer["upcoming"].clone())?;
    if all.is_empty() {
        text.push_str("nothing is planned\n");
    }
    for one in all {
        let note = one
            .note
            .map(|note| format!("  ({note})"))
            .unwrap_or_default();
        text.push_str(&format!("{}  {}{note}\n", one.at, one.occurrence));
    }
    Ok(text)
}

fn imported(answer: &Value) -> String {
    let mut text = String::new();
    for show in answer["shows"].as_array().into_iter().flatten() {
        let word = |key: &str| show[key].as_str().unwrap_or_default().to_owned();
        let repeat = show["repeat"]
            .as_str()
            .map(|rule| format!("  {rule}"))
            .unwrap_or_default();
        text.push_str(&format!(
            "saved {}  {} {}{repeat}\n",
            word("id"),
            word("start"),
            word("zone")
        ));
    }
    for note in answer["notes"].as_array().into_iter().flatten() {
        text.push_str(&format!("note: {}\n", note.as_str().unwrap_or_default()));
    }
    text
}

fn dry_text(dry: &DryRun) -> String {
    let when = dry
        .start
        .clone()
        .unwrap_or_else(|| "no occurrence is to come".to_owned());
    let mut text = format!("{}: {when}\n", dry.title);
    for line in &dry.steps {
        let at = line.at.clone().unwrap_or_else(|| "        ".to_owned());
        let waits = if line.waits.is_empty() {
            String::new()
        } else {
            format!(" ({})", line.waits)
        };
        text.push_str(&format!(
            "{:>3}  {at}  {:<10}  {}{waits}\n",
            line.step, line.time, line.what
        ));
    }
    for finding in &dry.findings {
        let word = if finding.problem {
            "problem"
        } else {
            "warning"
        };
        text.push_str(&format!("{word}: {}\n", finding.text));
    }
    if dry.ok {
        text.push_str("nothing stands against it\n");
    }
    text
}

fn view(answer: &Value) -> anyhow::Result<String> {
    let view: View = serde_json::from_value(answer.clone())?;
    let mut text = format!(
        "{}{}: {}\n",
        view.title,
        if view.held { ", held" } else { "" },
        if view.elapsed_s < 0.0 {
            format!("goes live in {}", span(-view.elapsed_s))
        } else {
            format!("for {}", span(view.elapsed_s))
        }
    );
    for step in &view.steps {
        let mark = if view.next == Some(step.step) {
            '>'
        } else {
            ' '
        };
        let detail = if step.detail.is_empty() {
            String::new()
        } else {
            format!("  {}", step.detail)
        };
        text.push_str(&format!(
            "{mark}{:>3}  {:<10}  {:<8}  {}{detail}\n",
            step.step, step.time, step.state, step.what
        ));
    }
    Ok(text)
}
