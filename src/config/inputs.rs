//! `[[source]]`: what can be shown and heard.

use super::environment::{Environment, Look};
use super::kinds::{Read, source_kind};
use super::reader::{Table, did_you_mean};
use super::report::{At, Report};
use super::settings::{RtmpKey, Source};
use super::sound;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Ids become file names and arguments, and are said over the intercom.
const LONGEST_ID: usize = 40;

/// Reads the id of each table; reports those that are missing, unfit or there twice.
pub(super) fn ids(tables: &[Table<'_>]) -> Vec<Option<String>> {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ids = Vec::new();
    for table in tables {
        let id = table.string("id", "main");
        table.missing("id", "for example id = \"main\"");
        ids.push(id.map(str::to_owned));
        let Some(id) = id else { continue };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if id.is_empty()
            || id.len() > LONGEST_ID
            || !id.bytes().all(fits)
            || id.starts_with(['-', '_'])
        {
            let what = format!(
                "an id is up to {LONGEST_ID} letters (a to z), digits, - and _, and starts with a letter or digit"
            );
            table.problem("id", what, "");
        } else if let Some(line) = lines.get(id) {
            table.problem(
                "id",
                format!("{id:?} is used already, on line {line}"),
                "take another",
            );
        } else {
            lines.insert(id, table.report().line_of(&table.at("id")));
        }
    }
    ids
}

/// What `[[source]]` says.
pub(super) struct Inputs {
    pub sources: Vec<Source>,
    /// Of each of them.
    pub sounds: Vec<sound::Said>,
    pub keys: Vec<RtmpKey>,
    /// Of all of them, whether they could be read or not.
    pub ids: Vec<String>,
}

pub(super) fn sources(root: &Table<'_>, base: &Path, env: &dyn Environment) -> Inputs {
    let tables = root.tables("source");
    let ids = ids(&tables);
    let mut sources = Vec::new();
    let mut sounds = Vec::new();
    let mut keys = Vec::new();
    for (table, id) in tables.iter().zip(&ids) {
        let read = source_kind(table, base, env);
        let slate = existing_file(table, "slate", "slate.png", base, env);
        let said = sound::audio(table);
        // Of a kind that was not understood no key can be called unknown.
        if read.is_some() {
            table.finish();
        }
        if let (Some(id), Some(Some(Read { kind, key }))) = (id, read) {
            keys.extend(key.map(|key| RtmpKey {
                source: id.clone(),
                key,
            }));
            sources.push(Source {
                id: id.clone(),
                kind,
                slate,
                audio: said.audio.clone(),
            });
            sounds.push(said);
        }
    }
    if root.lacks("source") {
        let what = "is missing: there is nothing to show";
        let instead = "for example [[source]] with id = \"stage\" and kind = \"v4l2\"";
        root.report().absence(&root.at("source"), what, instead);
    }
    Inputs {
        sources,
        sounds,
        keys,
        ids: ids.into_iter().flatten().collect(),
    }
}

/// A file named by `key`, which must be there; its path from `base` on.
pub(super) fn existing_file(
    table: &Table<'_>,
    key: &'static str,
    example: &str,
    base: &Path,
    env: &dyn Environment,
) -> Option<PathBuf> {
    let path = base.join(table.string(key, example)?);
    let shown = path.display();
    let (what, instead) = match env.look(&path) {
        Look::File { readable: true, .. } => return Some(path),
        Look::File { .. } => (
            format!("{shown} can't be read"),
            "it must be readable for the user Regia runs as",
        ),
        Look::Missing => (
            format!("{shown} does not exist"),
            "a relative path starts at the configuration's directory",
        ),
        Look::Unknown(error) => (format!("{shown} can't be looked at: {error}"), ""),
        Look::Directory { .. } | Look::CharDevice { .. } | Look::Other => {
            (format!("{shown} is not a file"), "")
        }
    };
    table.problem(key, what, instead);
    None
}

/// Reports a name that nothing of that kind bears.
pub(super) fn unknown_reference(
    report: &Report<'_>,
    at: &At,
    kind: &str,
    name: &str,
    known: &[String],
) {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let instead = match did_you_mean(name, &known) {
        near if !near.is_empty() => near,
        _ if known.is_empty() => format!("add [[{kind}]] with id = {name:?}"),
        _ => format!("there are {}", known.join(", ")),
    };
    report.absence(at, format!("there is no {kind} {name:?}"), instead);
}
