//! `[[uplink]]`, `[[destination]]` and `[[recording]]`: where the programme goes.

use super::environment::{Environment, Look};
use super::ingest_url;
use super::inputs::{existing_file, ids, unknown_reference};
use super::key::{Given, KEY, PASSWORD, ROLLOVER_KEY};
use super::programme::catch_up;
use super::reader::{Table, did_you_mean};
use super::rules::{self, Outlet};
use super::settings::{
    Destination, IngestUrl, Mode, OnLimit, Programme, Recording, RecordingKind, Resume, StreamKey,
    Timeline, Uplink,
};
use crate::platform;
use crate::secret::Credentials;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MODES: [(&str, Mode); 2] = [("failover", Mode::Failover), ("both", Mode::Both)];
const RESUMES: [(&str, Resume); 2] = [("replay", Resume::Replay), ("live", Resume::Live)];
const TIMELINES: [(&str, Timeline); 2] = [
    ("restart", Timeline::Restart),
    ("continue", Timeline::Continue),
];
const ON_LIMITS: [(&str, OnLimit); 2] = [("end", OnLimit::End), ("rollover", OnLimit::Rollover)];
const LONGEST_LIMIT: Duration = Duration::from_secs(31 * 24 * 3_600);

/// The uplinks, and the ids of all of them, whether they could be read or not.
pub(super) fn uplinks(root: &Table<'_>, env: &dyn Environment) -> (Vec<Uplink>, Vec<String>) {
    let tables = root.tables("uplink");
    let ids = ids(&tables);
    let there = env.interfaces();
    let mut uplinks: Vec<Uplink> = Vec::new();
    for (table, id) in tables.iter().zip(&ids) {
        let interface = interface(table, there.as_deref());
        let dns = name_servers(table);
        let metered = table.boolean("metered").unwrap_or(false);
        table.finish();
        let (Some(id), Some(interface)) = (id, interface) else {
            continue;
        };
        if let Some(other) = uplinks.iter().find(|other| other.interface == interface) {
            let what = format!("uplink {:?} leaves by {interface} already", other.id);
            table.warning(
                "interface",
                what,
                "two uplinks over one interface fail together",
            );
        }
        uplinks.push(Uplink {
            id: id.clone(),
            interface,
            dns,
            metered,
        });
    }
    (uplinks, ids.into_iter().flatten().collect())
}

fn interface(table: &Table<'_>, there: Option<&[String]>) -> Option<String> {
    let list = there.map_or_else(String::new, |names| names.join(", "));
    table.missing("interface", format!("one of {list}"));
    let name = table.string("interface", "eth0")?;
    if let Some(there) = there
        && !there.iter().any(|there| there == name)
    {
        let what = format!("there is no interface {name:?}");
        table.problem("interface", what, format!("this machine has {list}"));
        return None;
    }
    Some(name.to_owned())
}

fn name_servers(table: &Table<'_>) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for (text, at) in table.strings("dns", "9.9.9.9") {
        match text.parse() {
            Ok(server) => servers.push(server),
            Err(_) => {
                let what = format!("{text:?} is not the address of a name server");
                table.report().problem(&at, what, "for example \"9.9.9.9\"");
            }
        }
    }
    servers
}

pub(super) fn destinations(
    root: &Table<'_>,
    programme: &Programme,
    base: &Path,
    uplink_ids: &[String],
    env: &dyn Environment,
) -> Vec<Destination> {
    let tables = root.tables("destination");
    let ids = ids(&tables);
    let mut destinations: Vec<Destination> = Vec::new();
    for (table, id) in tables.iter().zip(ids) {
        let read = destination(table, id, programme, base, uplink_ids, env);
        table.finish();
        let Some(read) = read else { continue };
        if let Some(other) = destinations.iter().find(|other| same_stream(other, &read)) {
            let what = format!("has the server and the key of destination {:?}", other.id);
            let instead = "two streams on one key throw each other out: take one away";
            table.report().problem(table.here(), what, instead);
        }
        destinations.push(read);
    }
    if root.lacks("destination") {
        let what = "is missing: nothing is sent anywhere";
        let instead = "for example [[destination]] with id, server and key_file";
        let at = root.at("destination");
        root.report().absence_warning(&at, what, instead);
    }
    destinations
}

fn same_stream(a: &Destination, b: &Destination) -> bool {
    a.server.tc_url == b.server.tc_url && a.key == b.key && a.id != b.id
}

fn destination(
    table: &Table<'_>,
    id: Option<String>,
    programme: &Programme,
    base: &Path,
    uplink_ids: &[String],
    env: &dyn Environment,
) -> Option<Destination> {
    let rules = platform_rules(table);
    let server = server_url(table, "server");
    table.missing("server", missing_server(rules));
    let backup_server = server_url(table, "backup_server");
    let key = key(table, base, env);
    let uplinks = destination_uplinks(table, uplink_ids);
    let mode = table.word("mode", &MODES).unwrap_or(Mode::Failover);
    check_backup(
        table,
        mode,
        server.as_ref(),
        backup_server.as_ref(),
        uplinks.len(),
    );
    let resume = table.word("resume", &RESUMES).unwrap_or(Resume::Replay);
    let timeline = table.word("timeline", &TIMELINES);
    let longest_start = Duration::from_secs(60 * 24 * 3600);
    let timeline_start = table.duration("timeline_start_s", Duration::ZERO..=longest_start);
    let credentials = credentials(table, base, env);
    let tls_ca_file = existing_file(table, "tls_ca_file", "ca.pem", base, env);
    let limits = Duration::from_secs(1)..=LONGEST_LIMIT;
    let limit = table.duration("limit_s", limits.clone());
    let margin = table.duration("margin_s", Duration::ZERO..=*limits.end());
    let overrides = rules::overrides(table);
    if let Some(rules) = rules {
        let outlet = Outlet {
            server: server.as_ref(),
            backup_server: backup_server.as_ref(),
            mode,
            limit,
            margin,
        };
        rules::check(table, &rules.with(&overrides), programme, &outlet);
    }
    let (on_limit, rollover_key) = on_limit(table, key.as_ref(), base, env);
    let steer = table.boolean("steer").unwrap_or(true);
    let mptcp = table.boolean("mptcp").unwrap_or(false);
    let catch_up = catch_up(table);
    Some(Destination {
        id: id?,
        platform: rules?.word.to_owned(),
        server: server?,
        backup_server,
        key: key?,
        uplinks,
        mode,
        resume,
        timeline: timeline.unwrap_or(Timeline::Restart),
        timeline_start: timeline_start.unwrap_or_default(),
        steer,
        mptcp,
        tls_ca_file,
        credentials,
        catch_up,
        limit,
        margin,
        on_limit,
        rollover_key,
        rules: overrides,
    })
}

/// None: the platform's word is of no use, which is reported.
fn platform_rules(table: &Table<'_>) -> Option<&'static platform::Rules> {
    let Some(word) = table.string("platform", "linkedin") else {
        return platform::rules("custom").filter(|_| !table.has("platform"));
    };
    let rules = platform::rules(word);
    if rules.is_none() {
        let words: Vec<&str> = platform::words().collect();
        let instead = match did_you_mean(word, &words) {
            near if near.is_empty() => format!(
                "one of {}; custom is for every other ingest",
                words.join(", ")
            ),
            near => near,
        };
        table.problem(
            "platform",
            format!("there is no platform {word:?}"),
            instead,
        );
    }
    rules
}

fn missing_server(rules: Option<&platform::Rules>) -> String {
    match rules.and_then(|rules| Some((rules.name, rules.ingest?.value))) {
        Some((name, ingest)) => format!("{name}'s is usually {ingest}"),
        None => "write it as the platform gives it, for example rtmps://host:443/live".to_owned(),
    }
}

fn server_url(table: &Table<'_>, key: &'static str) -> Option<IngestUrl> {
    let text = table.string(key, "rtmps://host:443/live")?;
    let trimmed = text.trim();
    if trimmed.len() != text.len() {
        let what = "has white space around it, which Regia leaves away";
        table.warning(key, what, "take it out of the URL");
    }
    match ingest_url::parse(trimmed) {
        Ok(url) => Some(url),
        Err(error) => {
            table.problem(key, error.to_string(), error.instead());
            None
        }
    }
}

fn key(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<StreamKey> {
    match KEY.read(table, base, env) {
        Given::Secret(key) => Some(StreamKey::Given(key)),
        Given::Slot(name) => Some(StreamKey::Slot(name)),
        Given::Broken => None,
        Given::Absent => {
            let what = "is missing";
            let instead = "give one of key, key_file, key_env, key_secret; \
                where a platform gives one URL and no key, the key is what follows its last slash";
            table.report().absence(&table.at("key"), what, instead);
            None
        }
    }
}

fn destination_uplinks(table: &Table<'_>, uplink_ids: &[String]) -> Vec<String> {
    let mut uplinks: Vec<String> = Vec::new();
    for (name, at) in table.strings("uplinks", "fibre") {
        if !uplink_ids.iter().any(|id| id == name) {
            unknown_reference(table.report(), &at, "uplink", name, uplink_ids);
        } else if uplinks.iter().any(|other| other == name) {
            let what = format!("{name:?} is in the list already");
            table.report().problem(&at, what, "name each uplink once");
        } else {
            uplinks.push(name.to_owned());
        }
    }
    uplinks
}

fn check_backup(
    table: &Table<'_>,
    mode: Mode,
    server: Option<&IngestUrl>,
    backup: Option<&IngestUrl>,
    uplinks: usize,
) {
    if mode == Mode::Both && !table.has("backup_server") {
        let what = "\"both\" sends to two ingests, and there is no backup_server";
        table.problem(
            "mode",
            what,
            "give the platform's backup ingest as backup_server",
        );
    }
    let Some((server, backup)) = server.zip(backup) else {
        return;
    };
    if uplinks >= 2 {
        return;
    }
    if server.tc_url == backup.tc_url {
        let what = "is the same as server, and there is no second uplink to reach it by";
        let instead = "leave it out, give the platform's own backup ingest, or name two uplinks";
        table.warning("backup_server", what, instead);
    } else if mode == Mode::Both {
        let what = "\"both\" over one uplink: both streams end when it does";
        table.warning("mode", what, "name two uplinks in uplinks");
    }
}

fn credentials(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<Credentials> {
    let user = table.string("user", "encoder");
    let password = PASSWORD.read(table, base, env);
    match (user, password) {
        (Some(user), Given::Secret(password)) => Some(Credentials {
            user: user.to_owned(),
            password,
        }),
        (Some(_), Given::Absent) => {
            let what = "is missing, and there is a user";
            let instead = "give one of password, password_file, password_env";
            table.report().absence(&table.at("password"), what, instead);
            None
        }
        (None, Given::Secret(_)) if !table.has("user") => {
            let what = "is missing, and there is a password";
            table.report().absence(&table.at("user"), what, "");
            None
        }
        _ => None,
    }
}

fn on_limit(
    table: &Table<'_>,
    key: Option<&StreamKey>,
    base: &Path,
    env: &dyn Environment,
) -> (OnLimit, Option<StreamKey>) {
    let on_limit = table.word("on_limit", &ON_LIMITS).unwrap_or(OnLimit::End);
    let further = match ROLLOVER_KEY.read(table, base, env) {
        Given::Secret(key) => Ok(StreamKey::Given(key)),
        Given::Slot(name) => Ok(StreamKey::Slot(name)),
        nothing => Err(nothing),
    };
    match (on_limit, further) {
        (OnLimit::Rollover, Err(Given::Absent)) => {
            let what = "\"rollover\" starts a second session before the first ends, and that needs a further key";
            let instead = "give one of rollover_key, rollover_key_file, rollover_key_env, rollover_key_secret, or write \"end\"";
            table.report().absence(&table.at("on_limit"), what, instead);
            (on_limit, None)
        }
        (OnLimit::Rollover, Ok(further)) if Some(&further) == key => {
            let what = "\"rollover\" needs a further key, and the one given is the first again";
            table.problem(
                "on_limit",
                what,
                "two streams on one key throw each other out",
            );
            (on_limit, None)
        }
        (OnLimit::End, Ok(_)) => {
            let at = table.at("on_limit");
            let what = "there is a rollover key, but nothing rolls over";
            table
                .report()
                .warning(&at, what, "write on_limit = \"rollover\"");
            (on_limit, None)
        }
        (_, Ok(further)) => (on_limit, Some(further)),
        (_, Err(_)) => (on_limit, None),
    }
}

pub(super) fn recordings(root: &Table<'_>, base: &Path, env: &dyn Environment) -> Vec<Recording> {
    let tables = root.tables("recording");
    let mut recordings = Vec::new();
    for (table, id) in tables.iter().zip(ids(&tables)) {
        let kind = recording_kind(table);
        let path = directory(table, base, env);
        let auto = table.boolean("auto").unwrap_or(true);
        table.finish();
        if let (Some(id), Some(kind), Some(path)) = (id, kind, path) {
            recordings.push(Recording {
                id,
                kind,
                path,
                auto,
            });
        }
    }
    recordings
}

fn recording_kind(table: &Table<'_>) -> Option<RecordingKind> {
    let instead = "\"copy\" keeps the exact encoded programme";
    table.missing("kind", instead);
    if let Some(later) = table.string_if_known("kind", &["programme", "source"]) {
        let what = format!("this version of Regia has no {later} recordings yet");
        table.problem("kind", what, instead);
        return None;
    }
    table.word("kind", &[("copy", RecordingKind::Copy)])
}

fn directory(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<PathBuf> {
    table.missing(
        "path",
        "a directory, for example path = \"/var/lib/regia/recordings\"",
    );
    let path = base.join(table.string("path", "/var/lib/regia/recordings")?);
    let shown = path.display();
    let (what, instead) = match env.look(&path) {
        Look::Directory { writable: true } => return Some(path),
        Look::Directory { writable: false } => (
            format!("{shown} can't be written to"),
            "give it to the user Regia runs as".to_owned(),
        ),
        Look::Missing => (
            format!("{shown} does not exist"),
            format!("mkdir -p {shown}"),
        ),
        Look::Unknown(error) => (
            format!("{shown} can't be looked at: {error}"),
            String::new(),
        ),
        Look::File { .. } | Look::CharDevice { .. } | Look::Other => (
            format!("{shown} is not a directory"),
            "each broadcast makes a file of its own in it".to_owned(),
        ),
    };
    table.problem("path", what, instead);
    None
}
