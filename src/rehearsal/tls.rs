//! TLS for the listener: a certificate of our own making, or one from files.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    Off,
    /// A CA made for this run, and a certificate signed by it for localhost and the listening address.
    SelfMade,
    /// PEM: the certificate with its chain, and its private key.
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate for this run can't be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{what} {} can't be read as PEM: {reason}", .path.display())]
    Pem {
        what: &'static str,
        path: PathBuf,
        reason: rustls::pki_types::pem::Error,
    },
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("the certificate and its key are of no use to a server: {0}")]
    Unusable(rustls::Error),
}

/// What the listener needs, and the CA (PEM) that a publisher has to trust when the certificate is our own.
pub struct ServerTls {
    pub config: Arc<ServerConfig>,
    pub ca_pem: Option<String>,
}

/// None: plain RTMP.
pub fn server(tls: &Tls, listen: SocketAddr) -> Result<Option<ServerTls>, TlsError> {
    match tls {
        Tls::Off => Ok(None),
        Tls::SelfMade => self_made(listen).map(Some),
        Tls::Files { certificate, key } => from_files(certificate, key).map(Some),
    }
}

/// A CA and a leaf, because webpki refuses a certificate that says CA:TRUE as a server's own.
fn self_made(listen: SocketAddr) -> Result<ServerTls, TlsError> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name
        .push(DnType::CommonName, "Regia rehearsal CA (made for one run)");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    let address = listen.ip().to_string();
    if !listen.ip().is_unspecified() && !names.contains(&address) {
        names.push(address);
    }
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "Regia rehearsal");
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &ca)?;

    let chain = vec![leaf.der().clone(), ca.der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok(ServerTls {
        config: config(chain, key.into())?,
        ca_pem: Some(ca.pem()),
    })
}

fn from_files(certificate: &Path, key: &Path) -> Result<ServerTls, TlsError> {
    let pem = |what, path: &Path, reason| TlsError::Pem {
        what,
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|reason| pem("the certificate", certificate, reason))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|reason| pem("the certificate's key", key, reason))?;
    Ok(ServerTls {
        config: config(chain, key)?,
        ca_pem: None,
    })
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, TlsError> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map(Arc::new)
        .map_err(TlsError::Unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn makes_its_own() {
        let tls = server(&Tls::SelfMade, listen()).unwrap().unwrap();
        let pem = tls.ca_pem.unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    }

    #[test]
    fn bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cert.pem");
        let tls = Tls::Files {
            certificate: path.clone(),
            key: path.clone(),
        };
        let text = |tls| server(tls, listen()).err().unwrap().to_string();
        assert_eq!(
            text(&tls),
            format!(
                "the certificate {} can't be read as PEM: I/O error: No such file or directory (os \
                 error 2)",
                path.display()
            )
        );
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(
            text(&tls),
            format!("{} holds no certificate", path.display())
        );
    }

    #[test]
    fn a_certificate_of_another_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let error = server(&Tls::Files { certificate, key }, listen()).err();
        let text = error.unwrap().to_string();
        assert!(
            text.starts_with("the certificate and its key are of no use to a server:"),
            "{text}"
        );
    }
}
