//! `[[alert]]` and `[[hook]]`: who is told when nobody is in the room, and what is run.

use super::environment::{Environment, Look};
use super::inputs::ids;
use super::key::{Given, PASSWORD, SecretKeys};
use super::reader::Table;
use super::settings::{
    Alert, AlertLevel, AlertWay, Email, Hook, MailSecurity, Webhook, WebhookForm,
};
use crate::secret::{Credentials, Secret};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A webhook's address has often a token in it.
const URL: SecretKeys = SecretKeys {
    plain: "url",
    file: "url_file",
    env: "url_env",
    store: None,
    trim: true,
};
const SIGNING: SecretKeys = SecretKeys {
    plain: "secret",
    file: "secret_file",
    env: "secret_env",
    store: None,
    trim: true,
};
const TOKEN: SecretKeys = SecretKeys {
    plain: "token",
    file: "token_file",
    env: "token_env",
    store: None,
    trim: true,
};

const LEVELS: [(&str, AlertLevel); 3] = [
    ("warning", AlertLevel::Warning),
    ("problem", AlertLevel::Problem),
    ("info", AlertLevel::Info),
];
const FORMS: [(&str, WebhookForm); 4] = [
    ("json", WebhookForm::Json),
    ("ntfy", WebhookForm::Ntfy),
    ("matrix", WebhookForm::Matrix),
    ("telegram", WebhookForm::Telegram),
];

/// The log's words, which a hook may be run at; kept equal to the log's by a test in src/schedule.
pub const HOOK_EVENTS: &[&str] = &[
    "started",
    "anyway",
    "resumed",
    "not_resumed",
    "start_failed",
    "publishing",
    "on_air",
    "stalled",
    "lost",
    "failover",
    "shed",
    "replayed",
    "bitrate",
    "guard_warning",
    "archive_warning",
    "extended",
    "not_extended",
    "rollover",
    "rollover_failed",
    "closing_scene",
    "limit_reached",
    "dump",
    "dump_over",
    "source_lost",
    "source_live",
    "engine_died",
    "engine_back",
    "frames_left_out",
    "recording_failed",
    "recording_on",
    "recording_off",
    "marker",
    "stop_asked",
    "destination_ended",
    "ended",
    "sample",
    "key_saved",
    "key_deleted",
    "show_begins",
    "show_step",
    "show_step_failed",
    "show_step_skipped",
    "show_held",
    "show_released",
    "show_missed",
    "show_over",
    "alert_failed",
    "scene_taken",
    "faded_to_black",
    "overlay_switched",
    "title_set",
    "audio_changed",
    "loudness_reset",
    "config_changed",
];

pub(super) fn alerts(root: &Table<'_>, base: &Path, env: &dyn Environment) -> Vec<Alert> {
    let tables = root.tables("alert");
    let mut alerts = Vec::new();
    for (table, id) in tables.iter().zip(ids(&tables)) {
        table.missing("kind", "kind = \"email\" or kind = \"webhook\"");
        let least = table.word("least", &LEVELS).unwrap_or(AlertLevel::Warning);
        let way = match table.word("kind", &[("email", true), ("webhook", false)]) {
            Some(true) => email(table, base, env).map(AlertWay::Email),
            Some(false) => webhook(table, base, env).map(AlertWay::Webhook),
            None => None,
        };
        if table.has("kind") {
            table.finish();
        }
        if let (Some(id), Some(way)) = (id, way) {
            alerts.push(Alert { id, least, way });
        }
    }
    alerts
}

fn email(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<Email> {
    table.missing(
        "server",
        "for example server = \"smtps://mail.example.org\"",
    );
    table.missing("from", "for example from = \"regia@example.org\"");
    table.missing("to", "for example to = [\"crew@example.org\"]");
    let server = table
        .string("server", "smtps://mail.example.org")
        .and_then(|text| server(table, text));
    let from = table.string("from", "regia@example.org").map(str::to_owned);
    let from = from.filter(|from| is_mailbox(table, &table.at("from"), from));
    let to: Vec<String> = table
        .strings("to", "crew@example.org")
        .into_iter()
        .filter(|(to, at)| is_mailbox(table, at, to))
        .map(|(to, _)| to.to_owned())
        .collect();
    let user = table.string("user", "regia");
    let credentials = match (user, PASSWORD.read(table, base, env)) {
        (Some(user), Given::Secret(password)) => Some(Credentials {
            user: user.to_owned(),
            password,
        }),
        (Some(_), Given::Absent) => {
            let instead = "give one of password, password_file, password_env";
            table.report().absence(
                &table.at("password"),
                "is missing, and there is a user",
                instead,
            );
            None
        }
        (None, Given::Secret(_)) => {
            table
                .report()
                .absence(&table.at("user"), "is missing, and there is a password", "");
            None
        }
        _ => None,
    };
    let ca = tls_ca_file(table, base, env);
    let (security, host, port) = server?;
    if security == MailSecurity::None && credentials.is_some() {
        table.problem(
            "server",
            "would get the password unencrypted",
            "smtps://, or smtp:// with STARTTLS",
        );
        return None;
    }
    if to.is_empty() {
        return None;
    }
    Some(Email {
        security,
        host,
        port,
        credentials,
        from: from?,
        to,
        tls_ca_file: ca,
    })
}

fn server(table: &Table<'_>, text: &str) -> Option<(MailSecurity, String, u16)> {
    let schemes = [
        ("smtps", MailSecurity::Tls, 465),
        ("smtp", MailSecurity::StartTls, 587),
        ("smtp+plain", MailSecurity::None, 25),
    ];
    let url = Url::parse(text).ok();
    let found = url.as_ref().and_then(|url| {
        let known = schemes.iter().find(|(scheme, ..)| *scheme == url.scheme());
        let bare = url.path().trim_matches('/').is_empty()
            && url.username().is_empty()
            && url.query().is_none();
        let (_, security, port) = known.filter(|_| bare)?;
        Some((
            *security,
            url.host_str()?.to_owned(),
            url.port().unwrap_or(*port),
        ))
    });
    let Some((security, host, port)) = found else {
        let instead = "smtps://HOST (TLS), smtp://HOST (STARTTLS), or smtp+plain://localhost";
        table.problem("server", "is no mail server's address", instead);
        return None;
    };
    if security == MailSecurity::None && !is_loopback(&host) {
        table.problem(
            "server",
            "smtp+plain is for a server on this machine alone",
            "smtps:// or smtp://",
        );
        return None;
    }
    Some((security, host, port))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn is_mailbox(table: &Table<'_>, at: &super::report::At, text: &str) -> bool {
    let fits = text.parse::<lettre::message::Mailbox>().is_ok();
    if !fits {
        table.report().problem(
            at,
            format!("{text:?} is no e-mail address"),
            "for example \"crew@example.org\"",
        );
    }
    fits
}

fn webhook(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Option<Webhook> {
    let form = table.word("form", &FORMS).unwrap_or(WebhookForm::Json);
    let url = match URL.read(table, base, env) {
        Given::Secret(url) => Some(url),
        Given::Absent => {
            let instead = "for example url = \"https://ntfy.sh/my-topic\", or url_file";
            table
                .report()
                .absence(&table.at("url"), "is missing", instead);
            None
        }
        _ => None,
    };
    let url = url.filter(|url| is_web_address(table, url));
    let secret = |keys: &SecretKeys| match keys.read(table, base, env) {
        Given::Secret(secret) => Some(secret),
        _ => None,
    };
    let (signing, token) = (secret(&SIGNING), secret(&TOKEN));
    let chat = table.string("chat", "-1001234567890").map(str::to_owned);
    let room = table.string("room", "!abc:example.org").map(str::to_owned);
    let needs = |key: &'static str, there: bool, what: &str| {
        if !there && !table.has(key) {
            let at = table.at(key);
            table.report().absence(&at, "is missing", what);
        }
    };
    match form {
        WebhookForm::Telegram => needs(
            "chat",
            chat.is_some(),
            "the chat's number that the bot writes to",
        ),
        WebhookForm::Matrix => {
            needs(
                "room",
                room.is_some(),
                "the room that is written to, for example \"!abc:example.org\"",
            );
            needs(
                "token",
                token.is_some() || table.has("token_file") || table.has("token_env"),
                "the access token of the user that writes",
            );
        }
        WebhookForm::Json | WebhookForm::Ntfy => {}
    }
    for (key, fits) in [
        ("chat", form == WebhookForm::Telegram),
        ("room", form == WebhookForm::Matrix),
    ] {
        if table.has(key) && !fits {
            let form = if key == "chat" { "telegram" } else { "matrix" };
            table.problem(key, format!("belongs to form = {form:?}"), "");
        }
    }
    let ca = tls_ca_file(table, base, env);
    Some(Webhook {
        url: url?,
        form,
        signing,
        token,
        chat,
        room,
        tls_ca_file: ca,
    })
}

fn is_web_address(table: &Table<'_>, secret: &Secret) -> bool {
    let key = ["url", "url_file", "url_env"]
        .into_iter()
        .find(|key| table.has(key))
        .unwrap_or("url");
    let url = Url::parse(secret.expose())
        .ok()
        .filter(|url| url.has_host());
    match url
        .as_ref()
        .map(|url| (url.scheme(), url.host_str().unwrap_or_default()))
    {
        Some(("https", _)) => true,
        Some(("http", host)) if is_loopback(host) => true,
        Some(("http", _)) => {
            let what = "http:// shows what is told, and its signature, to everybody on the way";
            table.problem(key, what, "https://");
            false
        }
        _ => {
            table.problem(
                key,
                "is no web address",
                "for example \"https://example.org/hook\"",
            );
            false
        }
    }
}

fn tls_ca_file(
    table: &Table<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<std::path::PathBuf> {
    let path = base.join(table.string("tls_ca_file", "ca.pem")?);
    if !matches!(env.look(&path), Look::File { readable: true, .. }) {
        table.problem(
            "tls_ca_file",
            format!("{} can't be read", path.display()),
            "",
        );
        return None;
    }
    Some(path)
}

pub(super) fn hooks(root: &Table<'_>, base: &Path, env: &dyn Environment) -> Vec<Hook> {
    let tables = root.tables("hook");
    let mut hooks = Vec::new();
    for (table, id) in tables.iter().zip(ids(&tables)) {
        table.missing(
            "on",
            "at which events of the log, for example on = [\"on_air\", \"ended\"]",
        );
        table.missing(
            "command",
            "for example command = [\"/usr/local/bin/lights\", \"--on\"]",
        );
        let mut on = Vec::new();
        for (word, at) in table.strings("on", "on_air") {
            if HOOK_EVENTS.contains(&word) {
                on.push(word.to_owned());
                continue;
            }
            let near = super::reader::did_you_mean(word, HOOK_EVENTS);
            let instead = if near.is_empty() {
                format!("there are {}", HOOK_EVENTS.join(", "))
            } else {
                near
            };
            table
                .report()
                .problem(&at, format!("there is no event {word:?}"), instead);
        }
        let command: Vec<String> = table
            .strings("command", "/usr/local/bin/lights")
            .into_iter()
            .map(|(word, _)| word.to_owned())
            .collect();
        let time_out = table.duration(
            "time_out_s",
            Duration::from_millis(100)..=Duration::from_secs(600),
        );
        table.finish();
        let command = runnable(table, command, base, env);
        if let (Some(id), Some(command), false) = (id, command, on.is_empty()) {
            hooks.push(Hook {
                id,
                on,
                command,
                time_out: time_out.unwrap_or(Duration::from_secs(10)),
            });
        }
    }
    hooks
}

/// The program by its path: which of several on a PATH it would be is for nobody to guess.
fn runnable(
    table: &Table<'_>,
    mut command: Vec<String>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Vec<String>> {
    let program = command.first_mut()?;
    if !program.contains('/') {
        let what = format!("{program:?} is no path");
        table.problem(
            "command",
            what,
            "the program's whole path comes first, then its arguments; no shell reads them",
        );
        return None;
    }
    let path = base.join(&*program);
    match env.look(&path) {
        Look::File { mode, .. } if mode & 0o111 != 0 => {
            *program = path.display().to_string();
            Some(command)
        }
        Look::File { .. } => {
            table.problem(
                "command",
                format!("{} is not executable", path.display()),
                format!("chmod +x {}", path.display()),
            );
            None
        }
        _ => {
            table.problem(
                "command",
                format!("there is no program {}", path.display()),
                "",
            );
            None
        }
    }
}
