//! What a destination trusts: the system's roots, and the CA that its configuration names. Shell.

use super::error::ConnectionError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection};
use rustls_platform_verifier::Verifier;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("cannot read tls_ca_file {}: {reason}", path.display())]
    CaFile { path: PathBuf, reason: String },
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let extra = ca_file.map(read_ca).transpose()?.unwrap_or_default();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn read_ca(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let failed = |reason: String| TrustError::CaFile {
        path: path.to_owned(),
        reason,
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| failed(e.to_string()));
    match certificates {
        Ok(found) if found.is_empty() => Err(failed("no certificate in it".to_owned())),
        other => other,
    }
}

/// A connection's TLS with this host, before its first byte.
pub fn session(
    config: &Arc<ClientConfig>,
    host: &str,
) -> Result<ClientConnection, ConnectionError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| ConnectionError::Tls {
        host: host.to_owned(),
        reason: error.to_string(),
    })?;
    let mut tls = ClientConnection::new(Arc::clone(config), name)
        .map_err(|error| ConnectionError::tls(host, &error))?;
    // A keyframe is larger than rustls's default of 64 KiB, and what is sealed ahead is bounded by us.
    tls.set_buffer_limit(None);
    Ok(tls)
}
