//! Why a connection to an ingest ended, in words for the operator and in kinds for the failover. Pure.

use super::dns::DnsError;
use super::failover::Failure;
use crate::rtmp::{PublisherError, RejectKind};
use rustls::CertificateError;
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
    #[error("{address} took the connection and says nothing; does this port speak {protocol}?")]
    Silent {
        address: String,
        protocol: &'static str,
    },
    #[error("{host} shows a certificate that is not trusted: {reason}")]
    Certificate { host: String, reason: String },
    #[error("{host} shows a certificate for {names}; check the host of the server URL")]
    CertificateName { host: String, names: String },
    #[error("TLS with {host} failed: {reason}; does this port speak RTMPS?")]
    Tls { host: String, reason: String },
    #[error("{host} closed the connection during the TLS handshake; does this port speak RTMPS?")]
    ClosedInTls { host: String },
    #[error("the connection was lost: {0}")]
    Io(io::Error),
    #[error("{0}")]
    Rtmp(#[from] PublisherError),
}

/// The path's fault, not the server's.
fn is_path(kind: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        kind,
        Kind::TimedOut | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown
    )
}

impl ConnectionError {
    pub fn failure(&self) -> Failure {
        match self {
            ConnectionError::Io(error) if is_path(error.kind()) => Failure::NoAnswer,
            // In an outage the name server is as far away as the ingest.
            ConnectionError::Dns(_)
            | ConnectionError::NoAnswer { .. }
            | ConnectionError::Silent { .. }
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
        let host = host.to_owned();
        match error {
            rustls::Error::InvalidCertificate(error) => certificate(host, error),
            _ => ConnectionError::Tls {
                host,
                reason: error.to_string(),
            },
        }
    }
}

fn certificate(host: String, error: &CertificateError) -> ConnectionError {
    let reason = match error {
        CertificateError::NotValidForName => {
            let names = "another name".to_owned();
            return ConnectionError::CertificateName { host, names };
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            // rustls gives them as DnsName("ingest.example") and IpAddress(127.0.0.1).
            let bare = |name: &String| {
                let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
                inner.trim_end_matches(')').trim_matches('"').to_owned()
            };
            let names = match presented.iter().map(bare).collect::<Vec<_>>() {
                names if names.is_empty() => "no name".to_owned(),
                names => names.join(", "),
            };
            return ConnectionError::CertificateName { host, names };
        }
        CertificateError::UnknownIssuer => {
            "this machine does not know its issuer; for a private authority set tls_ca_file".into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired; whoever runs the server must renew it, unless this machine's clock is wrong"
                .into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet; is this machine's clock right?".into()
        }
        CertificateError::Revoked => {
            "it has been revoked; whoever runs the server must replace it".into()
        }
        error => error.to_string(),
    };
    ConnectionError::Certificate { host, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: CertificateError) -> String {
        ConnectionError::tls("host", &rustls::Error::InvalidCertificate(error)).to_string()
    }

    #[test]
    fn each_certificate_has_its_remedy() {
        let of_others = CertificateError::NotValidForNameContext {
            expected: rustls::pki_types::ServerName::try_from("host").unwrap(),
            presented: vec![
                "DnsName(\"a.example\")".into(),
                "IpAddress(10.0.0.1)".into(),
            ],
        };
        assert_eq!(
            told(of_others),
            "host shows a certificate for a.example, 10.0.0.1; check the host of the server URL"
        );
        assert_eq!(
            told(CertificateError::NotValidYet),
            "host shows a certificate that is not trusted: it is not valid yet; is this machine's clock right?"
        );
        assert!(told(CertificateError::Revoked).contains("not trusted: it has been revoked;"));
    }
}
