//! Why a connection to an ingest ended, in words for the operator and in kinds for the failover. Pure.

use super::dns::DnsError;
use super::failover::Failure;
use crate::rtmp::{PublisherError, RejectKind};
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error("{0}; check the name, and the name servers of this uplink")]
    Dns(#[from] DnsError),
    #[error(
        "{address} refused the connection: nothing listens there; check the server's host and port"
    )]
    Refused { address: String },
    #[error(
        "{address} does not answer: the way to it may be down, or a firewall drops what we send"
    )]
    NoAnswer { address: String },
    #[error(
        "{address} took the connection and does not answer `publish`; check the stream key, and that the platform's event is open \
         for streaming"
    )]
    PublishUnanswered { address: String },
    #[error("cannot reach {address}: {error}")]
    Unreachable { address: String, error: io::Error },
    #[error("interface {interface} cannot be used: {error}")]
    Interface { interface: String, error: io::Error },
    #[error(
        "{host} shows a certificate that is not trusted: {reason}; for a private CA set tls_ca_file"
    )]
    Certificate { host: String, reason: String },
    #[error("{host} shows a certificate for another name: {reason}; check the server's host name")]
    CertificateName { host: String, reason: String },
    #[error("TLS with {host} failed: {reason}; does this port speak RTMPS?")]
    Tls { host: String, reason: String },
    #[error("{host} closed the connection during the TLS handshake; does this port speak RTMPS?")]
    ClosedInTls { host: String },
    #[error("the connection was lost: {0}")]
    Io(io::Error),
    #[error("{0}")]
    Rtmp(#[from] PublisherError),
}

impl ConnectionError {
    pub fn failure(&self) -> Failure {
        match self {
            // In an outage the name server is as far away as the ingest.
            ConnectionError::Dns(_)
            | ConnectionError::NoAnswer { .. }
            | ConnectionError::PublishUnanswered { .. }
            | ConnectionError::Unreachable { .. } => Failure::NoAnswer,
            ConnectionError::Rtmp(PublisherError::Rejected { kind, .. }) => match kind {
                RejectKind::BadName => Failure::Busy,
                kind if kind.is_final() => Failure::Final,
                _ => Failure::Refused,
            },
            ConnectionError::Rtmp(error) if error.is_final() => Failure::Final,
            ConnectionError::Io(_)
            | ConnectionError::ClosedInTls { .. }
            | ConnectionError::Rtmp(_) => Failure::Closed,
            _ => Failure::Refused,
        }
    }

    /// Tells apart what rustls says, since each has another remedy.
    pub fn tls(host: &str, error: &rustls::Error) -> Self {
        use rustls::CertificateError as Cert;
        let (host, reason) = (host.to_owned(), error.to_string());
        match error {
            rustls::Error::InvalidCertificate(
                Cert::NotValidForName | Cert::NotValidForNameContext { .. },
            ) => ConnectionError::CertificateName { host, reason },
            rustls::Error::InvalidCertificate(_) => ConnectionError::Certificate { host, reason },
            _ => ConnectionError::Tls { host, reason },
        }
    }
}
