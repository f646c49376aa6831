//! The panel of a daemon: its listener, and what is printed so that somebody finds it.

use crate::config::{Panel, PanelTls};
use crate::panel::{self, Api, Certificates, Server, obs};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, error, info};

/// A panel that is served.
pub struct Served {
    pub task: JoinHandle<()>,
    /// Where somebody begins: the panel or, while it has no admin, the page that sets the first password. Secret then.
    pub link: String,
}

/// Serves the panel. What stands against it is told: a broadcast needs none.
pub async fn serve(panel: &Panel, state: &Path, api: &Api) -> Option<Served> {
    let certificates = match Certificates::open(&panel.tls, panel.listen.ip(), state) {
        Ok(certificates) => certificates,
        Err(error) => {
            error!(%error, "there is no panel: mend this, and start Regia again");
            return None;
        }
    };
    let fingerprint = certificates.as_ref().map(Certificates::fingerprint);
    let server = match Server::bind(panel.listen, certificates, panel::api::router(api.clone()))
        .await
    {
        Ok(server) => server,
        Err(error) => {
            error!(
                %error,
                "there is no panel: it can't listen on {}; give panel.listen another address or port",
                panel.listen
            );
            return None;
        }
    };
    let address = server.address().unwrap_or(panel.listen);
    let url = format!("http{}", secure(&panel.tls, address));
    match fingerprint {
        Some(sha256) => {
            info!(%url, %sha256, "the panel is there; compare its certificate's fingerprint")
        }
        None => info!(%url, "the panel is there"),
    }
    let mut link = url.clone();
    match api.access.setup_token() {
        // Said once, to whoever starts it, and worth nothing any more when it was used. It stands behind #, which no browser sends.
        Ok(Some(token)) => {
            link = format!("{url}/setup#{token}");
            eprintln!("The panel has no admin yet. Set the password here, once: {link}");
        }
        Ok(None) => {}
        Err(_) => error!(
            "the system gives no random numbers: `regia passwd admin` sets the first password"
        ),
    }
    let task = tokio::spawn(server.run());
    Some(Served { task, link })
}

/// Opens `link` in the browser of the desktop that this runs on, if there is one. The link goes through a file of ours alone in
/// `directory`: arguments can be read by everybody on the machine.
pub fn browse(link: &str, directory: &Path) {
    let has_desktop = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if !has_desktop {
        return;
    }
    let page = directory.join("panel.html");
    let text = format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url={link}\"><title>Regia</title>\n"
    );
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&page)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    let opened = written.and_then(|()| {
        Command::new("xdg-open")
            .arg(&page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    // It is a convenience: the address stands above.
    if let Err(error) = opened {
        debug!(%error, "no browser was opened");
    }
}

/// Serves other makers' desks, if the configuration says so. What stands against it is told: a broadcast needs none.
///
/// `leaving`: becomes true when Regia begins to end.
pub async fn serve_obs(
    panel: &Panel,
    state: &Path,
    api: &Api,
    leaving: watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    let config = panel.obs_websocket.as_ref()?;
    let certificates = match Certificates::open(&config.tls, config.listen.ip(), state) {
        Ok(certificates) => certificates,
        Err(error) => {
            error!(%error, "obs-websocket is not there: mend this, and start Regia again");
            return None;
        }
    };
    let router = obs::router(obs::Obs::new(api, config.password.clone(), leaving));
    let server = match Server::bind(config.listen, certificates, router).await {
        Ok(server) => server,
        Err(error) => {
            error!(
                %error,
                "obs-websocket is not there: it can't listen on {}; give panel.obs_websocket.listen another address or port",
                config.listen
            );
            return None;
        }
    };
    let address = server.address().unwrap_or(config.listen);
    let url = format!("ws{}", secure(&config.tls, address));
    info!(%url, "obs-websocket is there");
    Some(tokio::spawn(server.run()))
}

/// What follows "http" or "ws".
fn secure(tls: &PanelTls, address: SocketAddr) -> String {
    let s = match tls {
        PanelTls::Off => "",
        PanelTls::Own | PanelTls::Files { .. } => "s",
    };
    if address.ip().is_unspecified() {
        let host = panel::host_name().unwrap_or_else(|| "localhost".to_owned());
        return format!("{s}://{host}:{}", address.port());
    }
    format!("{s}://{address}")
}
