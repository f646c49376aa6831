//! Certificates for the test servers: an authority and leaves under it, right and wrong in every way that a client must
//! refuse. The authority and the leaf are two, because webpki refuses a server whose own certificate says CA:TRUE.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A certificate and its key as PEM files.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    dir: PathBuf,
    /// What a client must trust: `tls_ca_file`.
    pub ca: PathBuf,
}

impl Authority {
    /// Writes its files into `dir`.
    pub fn new(dir: &Path) -> Self {
        let key = new_key();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Regia test authority");
        let cert = params.self_signed(&key).expect("a fresh key signs");
        let ca = dir.join("ca.pem");
        write(&ca, &cert.pem());
        Authority {
            issuer: Issuer::new(params, key),
            dir: dir.to_owned(),
            ca,
        }
    }

    /// A good certificate for these DNS names or IP addresses; also one for the wrong host, if none is the host dialled.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.sign("leaf", names, params_for(names))
    }

    /// Good but for its dates: over since 2001.
    pub fn expired(&self, names: &[&str]) -> Leaf {
        let mut params = params_for(names);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign("expired", names, params)
    }

    /// Signed by nobody but itself.
    pub fn self_signed(&self, names: &[&str]) -> Leaf {
        let key = new_key();
        let cert = params_for(names)
            .self_signed(&key)
            .expect("a fresh key signs");
        self.save("self-signed", names, &cert.pem(), &key)
    }

    fn sign(&self, kind: &str, names: &[&str], params: CertificateParams) -> Leaf {
        let key = new_key();
        let cert = params
            .signed_by(&key, &self.issuer)
            .expect("the authority's key signs");
        self.save(kind, names, &cert.pem(), &key)
    }

    fn save(&self, kind: &str, names: &[&str], cert: &str, key: &KeyPair) -> Leaf {
        let name = format!("{kind}-{}", names.join("-"));
        let leaf = Leaf {
            cert: self.dir.join(format!("{name}.pem")),
            key: self.dir.join(format!("{name}.key")),
        };
        write(&leaf.cert, cert);
        write(&leaf.key, &key.serialize_pem());
        leaf
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system gives random bytes")
}

fn params_for(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName((*name).try_into().expect("names are ASCII")),
        })
        .collect();
    params
        .distinguished_name
        .push(DnType::CommonName, "Regia test server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What openssl, a third party, says of a certificate.
    fn verdict(authority: &Authority, leaf: &Leaf, host: &str) -> String {
        let out = Command::new("openssl")
            .args(["verify", "-verify_ip", host, "-CAfile"])
            .args([&authority.ca, &leaf.cert])
            .output()
            .unwrap();
        format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        )
    }

    #[test]
    fn openssl_agrees_on_each() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path());
        let names = ["127.0.0.1", "localhost"];
        let good = verdict(&authority, &authority.leaf(&names), "127.0.0.1");
        assert!(good.contains(": OK"), "{good}");
        let wrong = verdict(&authority, &authority.leaf(&["198.18.9.9"]), "127.0.0.1");
        assert!(wrong.contains("IP address mismatch"), "{wrong}");
        let expired = verdict(&authority, &authority.expired(&names), "127.0.0.1");
        assert!(expired.contains("certificate has expired"), "{expired}");
        let own = verdict(&authority, &authority.self_signed(&names), "127.0.0.1");
        assert!(own.contains("self-signed certificate"), "{own}");
    }
}
