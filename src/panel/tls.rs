//! The panel's certificate: its own, made on first start and kept with the state, or one from files that is read again when it
//! changes. Shell.

use crate::config::PanelTls;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tracing::{info, warn};

const CERTIFICATE: &str = "panel-cert.pem";
const KEY: &str = "panel-key.pem";
/// Browsers of some makers refuse one that lives longer than 825 days.
const LIVES_DAYS: i64 = 820;
const RENEWED_AFTER: Duration = Duration::from_secs(700 * 24 * 3_600);
/// How often it is looked whether the files have changed, when somebody connects.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the panel's certificate can't be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the panel's certificate can't be kept in {}: {error}", path.display())]
    Keep { path: PathBuf, error: io::Error },
    #[error("{what} {} can't be read as PEM: {reason}; panel.{key} names it", path.display())]
    Pem {
        what: &'static str,
        key: &'static str,
        path: PathBuf,
        reason: rustls::pki_types::pem::Error,
    },
    #[error("{} holds no certificate; panel.tls_cert_file names it", .0.display())]
    Empty(PathBuf),
    #[error(
        "the panel's certificate and key are of no use to a server: {0}; see panel.tls_cert_file and panel.tls_key_file"
    )]
    Unusable(rustls::Error),
}

pub struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    now: Mutex<Now>,
}

struct Now {
    config: Arc<ServerConfig>,
    fingerprint: String,
    stamp: Stamp,
    looked: Instant,
}

/// What changes with a file.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// None: plain HTTP.
    pub fn open(tls: &PanelTls, listen: IpAddr, state: &Path) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match tls {
            PanelTls::Off => return Ok(None),
            PanelTls::Files { certificate, key } => (certificate.clone(), key.clone()),
            PanelTls::Own => own(state, listen)?,
        };
        let stamp = stamp(&certificate, &key);
        let (config, fingerprint) = read(&certificate, &key)?;
        let now = Mutex::new(Now {
            config,
            fingerprint,
            stamp,
            looked: Instant::now(),
        });
        Ok(Some(Certificates {
            certificate,
            key,
            now,
        }))
    }

    /// SHA-256 of the certificate, as browsers show it.
    pub fn fingerprint(&self) -> String {
        self.now().fingerprint.clone()
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the files are now. While they are of no use, as they were.
    pub fn newest(&self) -> Arc<ServerConfig> {
        let mut now = self.now();
        if now.looked.elapsed() >= LOOK {
            now.looked = Instant::now();
            let stamp = stamp(&self.certificate, &self.key);
            if stamp != now.stamp {
                now.stamp = stamp;
                match read(&self.certificate, &self.key) {
                    Ok((config, fingerprint)) => {
                        info!(sha256 = %fingerprint, "the panel has a new certificate");
                        (now.config, now.fingerprint) = (config, fingerprint);
                    }
                    Err(error) => warn!(%error, "the panel keeps the certificate that it had"),
                }
            }
        }
        Arc::clone(&now.config)
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    })
}

fn own(state: &Path, listen: IpAddr) -> Result<(PathBuf, PathBuf), TlsError> {
    let (certificate, key) = (state.join(CERTIFICATE), state.join(KEY));
    let old = |path: &Path| {
        let made = std::fs::metadata(path).and_then(|about| about.modified());
        made.map_or(true, |made| {
            made.elapsed().is_ok_and(|age| age > RENEWED_AFTER)
        })
    };
    if key.exists() && !old(&certificate) {
        return Ok((certificate, key));
    }
    let (made, secret) = make(listen)?;
    keep(&key, &secret)?;
    keep(&certificate, &made)?;
    Ok((certificate, key))
}

fn make(listen: IpAddr) -> Result<(String, String), TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
    if let Some(host) = host_name() {
        names.push(format!("{host}.local"));
        names.push(host);
    }
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    names.extend(addresses().iter().map(IpAddr::to_string));
    names.sort();
    names.dedup();
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Regia panel");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = jiff::Zoned::now().date();
    let date = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8)
    };
    // A box whose clock is a day behind is served as well.
    let (from, until) = (
        today.yesterday(),
        today.checked_add(jiff::Span::new().days(LIVES_DAYS)),
    );
    if let (Ok(from), Ok(until)) = (from, until) {
        params.not_before = date(from);
        params.not_after = date(until);
    }
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

pub fn host_name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (!name.is_empty() && name.chars().all(fits)).then_some(name)
}

/// Of this box, now.
fn addresses() -> Vec<IpAddr> {
    let Ok(all) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let address = |one: nix::ifaddrs::InterfaceAddress| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    all.filter_map(address).collect()
}

/// For this user alone, and whole or not at all.
fn keep(path: &Path, text: &str) -> Result<(), TlsError> {
    let failed = |error| TlsError::Keep {
        path: path.to_owned(),
        error,
    };
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}

fn read(certificate: &Path, key: &Path) -> Result<(Arc<ServerConfig>, String), TlsError> {
    let pem = |what, key, path: &Path, reason| TlsError::Pem {
        what,
        key,
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|reason| {
            pem(
                "the panel's certificate",
                "tls_cert_file",
                certificate,
                reason,
            )
        })?;
    let Some(first) = chain.first() else {
        return Err(TlsError::Empty(certificate.to_owned()));
    };
    let hash = digest(&SHA256, first.as_ref());
    let pairs: Vec<String> = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|reason| pem("the panel's key", "tls_key_file", key, reason))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, secret)
        })
        .map_err(TlsError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((Arc::new(config), pairs.join(":")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ANY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

    #[test]
    fn its_own_is_made_once_and_kept_for_this_user_alone() {
        let state = tempfile::tempdir().unwrap();
        let open = || {
            Certificates::open(&PanelTls::Own, ANY, state.path())
                .unwrap()
                .unwrap()
        };
        let first = open().fingerprint();
        assert_eq!(first.len(), 32 * 3 - 1, "{first}");
        assert_eq!(open().fingerprint(), first);
        let mode = std::fs::metadata(state.path().join(KEY))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            Certificates::open(&PanelTls::Off, ANY, state.path())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn files_are_read_again_when_they_change_and_kept_while_they_are_of_no_use() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let write = || {
            let (made, secret) = make(ANY).unwrap();
            std::fs::write(&certificate, made).unwrap();
            std::fs::write(&key, secret).unwrap();
        };
        write();
        let tls = PanelTls::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let certificates = Certificates::open(&tls, ANY, dir.path()).unwrap().unwrap();
        let first = certificates.fingerprint();
        let look = |certificates: &Certificates| {
            certificates.now().looked -= LOOK;
            certificates.newest();
            certificates.fingerprint()
        };
        std::fs::write(&certificate, "nothing of use").unwrap();
        assert_eq!(look(&certificates), first);
        write();
        // In the same tick of the file system's clock the length may be the same, too.
        certificates.now().stamp = [None, None];
        assert_ne!(look(&certificates), first);
    }

    #[test]
    fn a_file_of_no_use_is_named_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.pem");
        let tls = PanelTls::Files {
            certificate: path.clone(),
            key: path,
        };
        let error = Certificates::open(&tls, ANY, dir.path())
            .err()
            .unwrap()
            .to_string();
        assert!(error.ends_with("panel.tls_cert_file names it"), "{error}");
    }
}
