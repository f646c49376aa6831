//! The panel of a daemon: its listener, and what is printed so that somebody finds it.

use crate::config::{Panel, PanelTls};
use crate::panel::{self, Api, Certificates, Server, obs};
use std::net::SocketAddr;
use std::path::Path;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

/// Serves the panel. What stands against it is told: a broadcast needs none.
pub async fn serve(panel: &Panel, state: &Path, api: &Api) -> Option<(JoinHandle<()>, SocketAddr)> {
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
    match api.access.setup_token() {
        // Said once, to whoever starts it, and worth nothing any more when it was used. It stands behind #, which no browser sends.
        Ok(Some(token)) => eprintln!(
            "The panel has no admin yet. Set the password here, once: {url}/setup#{token}"
        ),
        Ok(None) => {}
        Err(_) => error!(
            "the system gives no random numbers: `regia passwd admin` sets the first password"
        ),
    }
    Some((tokio::spawn(server.run()), address))
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
