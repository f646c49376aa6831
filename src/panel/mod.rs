//! The API that panel, CLI and scripts use, and the panel itself: on the Unix socket in the state directory, whose mode is its guard,
//! and on the network behind the gate.

mod access;
pub mod api;
mod assets;
mod configuration;
mod events;
mod gate;
mod idempotency;
pub mod keys;
pub mod log;
mod metrics;
pub mod mix;
pub mod obs;
mod openapi;
mod preflight;
mod preview;
mod problem;
mod recordings;
mod reports;
mod server;
pub mod shows;
mod system;
mod tls;

pub use access::{Access, OPERATIONS, ROLES, Role, check_user_name, hash_password};
pub use api::Api;
pub use configuration::Configuration;
pub use openapi::openapi;
pub use server::Server;
pub use tls::{Certificates, TlsError, host_name};

use crate::preflight::Preflight;
use crate::schedule::Schedule;
use crate::session::SessionHandle;
use crate::store::{Store, StoreError};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Puts the API's parts together.
pub async fn open(
    config: PathBuf,
    state: &Path,
    session: SessionHandle,
    preflight: Preflight,
    schedule: Schedule,
    store: Option<Store>,
) -> Result<Api, StoreError> {
    let access = Access::open(store).await?;
    Ok(Api {
        events: events::start(session.clone(), access.clone()).await,
        configuration: Configuration::new(config, state, session.clone()),
        session,
        preflight,
        schedule,
        access,
        state: state.to_owned(),
        started: Instant::now(),
    })
}
