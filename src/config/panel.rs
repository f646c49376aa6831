//! `[panel]`: where the panel is served, and whether other makers' desks may steer the programme as well.

use super::environment::Environment;
use super::inputs::existing_file;
use super::key::{Given, PASSWORD};
use super::reader::Table;
use super::settings::{ObsWebsocket, Panel, PanelTls};
use crate::secret::Secret;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080);
/// As a user's of the panel.
const SHORTEST_PASSWORD: usize = 10;

pub(super) fn panel(root: &Table<'_>, base: &Path, env: &dyn Environment) -> Panel {
    let table = root.table("panel");
    let listen = address(&table, "127.0.0.1:8080").unwrap_or(DEFAULT_LISTEN);
    let tls = panel_tls(&table, listen, base, env);
    let obs_websocket = obs_websocket(&table, listen, &tls, base, env);
    table.finish();
    Panel {
        listen,
        tls,
        obs_websocket,
    }
}

fn address(table: &Table<'_>, example: &str) -> Option<SocketAddr> {
    let text = table.string("listen", example)?;
    let address = text.parse().ok();
    if address.is_none() {
        let what = format!("{text:?} is not an address with a port");
        table.problem("listen", what, format!("for example {example:?}"));
    }
    address
}

/// Whatever the network can see is encrypted, with a certificate of its own where none is given.
fn panel_tls(
    table: &Table<'_>,
    listen: SocketAddr,
    base: &Path,
    env: &dyn Environment,
) -> PanelTls {
    let certificate = existing_file(table, "tls_cert_file", "panel.pem", base, env);
    let key = existing_file(table, "tls_key_file", "panel.key", base, env);
    let wanted = table.boolean("tls");
    for (one, other) in [
        ("tls_cert_file", "tls_key_file"),
        ("tls_key_file", "tls_cert_file"),
    ] {
        if table.has(one) && !table.has(other) {
            let what = format!("{one} is there without {other}");
            table.problem(one, what, format!("add {other}: both are PEM"));
        }
    }
    if wanted == Some(false) {
        if !listen.ip().is_loopback() {
            let what = format!(
                "passwords would cross the network in the clear at {}",
                listen.ip()
            );
            let instead = "take tls = false away (without tls_cert_file the panel makes a certificate of its own), or listen on 127.0.0.1";
            table.problem("tls", what, instead);
        }
        return PanelTls::Off;
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => PanelTls::Files { certificate, key },
        _ if wanted == Some(true) || !listen.ip().is_loopback() => PanelTls::Own,
        _ => PanelTls::Off,
    }
}

/// obs-websocket 5 for Companion, Stream Deck and tally. On loopback it is plain, which is what they speak to a machine of their own;
/// whatever the network can see has a password and the panel's TLS.
fn obs_websocket(
    panel: &Table<'_>,
    panel_listen: SocketAddr,
    panel_tls: &PanelTls,
    base: &Path,
    env: &dyn Environment,
) -> Option<ObsWebsocket> {
    let there = panel.has("obs_websocket");
    let table = panel.table("obs_websocket");
    if there {
        table.missing("listen", "OBS itself has \"127.0.0.1:4455\"");
    }
    let listen = address(&table, "127.0.0.1:4455");
    let password = obs_password(&table, base, env);
    table.finish();
    let listen = listen?;
    if listen == panel_listen && listen.port() != 0 {
        let what = format!("{listen} is the panel's own address");
        table.problem("listen", what, "OBS itself has port 4455");
    }
    let tls = if listen.ip().is_loopback() {
        if password == Given::Absent {
            let what = "without a password, whatever runs on this machine can take scenes and end the broadcast";
            let instead = "name a file of mode 0600 that holds one: password_file = \"/etc/regia/obs.password\"";
            table
                .report()
                .absence_warning(&table.at("password_file"), what, instead);
        }
        PanelTls::Off
    } else {
        if password == Given::Absent {
            let what = format!("is missing, and the network can see {}", listen.ip());
            let instead = "name a file of mode 0600 that holds a password, or listen on 127.0.0.1";
            table
                .report()
                .absence(&table.at("password_file"), what, instead);
        }
        if panel.is_boolean("tls") && panel.boolean("tls") == Some(false) {
            let what = format!(
                "with panel.tls = false everything would cross the network in the clear at {}",
                listen.ip()
            );
            table.problem(
                "listen",
                what,
                "take tls = false away, or listen on 127.0.0.1",
            );
        }
        match panel_tls {
            PanelTls::Files { .. } => panel_tls.clone(),
            PanelTls::Own | PanelTls::Off => PanelTls::Own,
        }
    };
    Some(ObsWebsocket {
        listen,
        password: match password {
            Given::Secret(password) => Some(password),
            Given::Absent | Given::Broken | Given::Slot(_) => None,
        },
        tls,
    })
}

/// It is in a file or a variable: a configuration is shown, copied and mailed.
fn obs_password(table: &Table<'_>, base: &Path, env: &dyn Environment) -> Given {
    let given = PASSWORD.read(table, base, env);
    if table.has(PASSWORD.plain) {
        let what = "stands in the configuration in the clear";
        let instead = "put it in a file of mode 0600, and name that with password_file";
        table.problem(PASSWORD.plain, what, instead);
        return Given::Broken;
    }
    if let Given::Secret(password) = &given
        && is_short(password)
    {
        let key = if table.has(PASSWORD.file) {
            PASSWORD.file
        } else {
            PASSWORD.env
        };
        let what = format!("the password has fewer than {SHORTEST_PASSWORD} characters");
        table.problem(key, what, "three or four words are easy to remember");
        return Given::Broken;
    }
    given
}

fn is_short(password: &Secret) -> bool {
    password.expose().chars().count() < SHORTEST_PASSWORD
}
