//! TLS: a certificate of its own off loopback, its fingerprint printed, and nothing in the clear.

use crate::PATIENCE;
use crate::client::Client;
use crate::rig::{PASSWORD, PROGRAMME, setup_token};
use regia_testkit::regia::Setup;
use std::process::Command;

#[test]
fn off_loopback_it_is_encrypted_with_a_certificate_whose_fingerprint_is_printed() {
    let config = format!("{PROGRAMME}\n[panel]\nlisten = \"0.0.0.0:0\"\n");
    let mut regia = Setup::new(crate::REGIA, config).not_live().start();
    let line = regia.process.wait_line("the panel is there", PATIENCE).text;
    let token = setup_token(&mut regia);
    let url = line.split_once("url=").unwrap().1;
    let url = url.split_whitespace().next().unwrap();
    assert!(url.starts_with("https://"), "{line}");
    let port = url.rsplit(':').next().unwrap();
    let base = format!("https://127.0.0.1:{port}");

    let cert = regia.state_dir().join("panel-cert.pem");
    let openssl = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&cert)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&openssl.stdout).into_owned();
    let fingerprint = text.trim().rsplit('=').next().unwrap();
    assert!(line.contains(fingerprint), "{line} {text}");

    // A browser that trusts this certificate talks to it; one that does not doesn't.
    let curl = |args: &[&str]| {
        Command::new("curl")
            .args(["-s", "-m", "30"])
            .args(args)
            .output()
            .unwrap()
    };
    let health = format!("{base}/healthz");
    assert!(!curl(&[&health]).status.success());
    let trusted = curl(&["--cacert", cert.to_str().unwrap(), &health]);
    assert_eq!(
        String::from_utf8_lossy(&trusted.stdout),
        "ok\n",
        "{trusted:?}"
    );
    let body = format!("{{\"token\":\"{token}\",\"password\":\"{PASSWORD}\"}}");
    let setup = format!("{base}/api/v1/setup");
    let set_up = curl(&[
        "-i",
        "-k",
        "-H",
        "content-type: application/json",
        "-d",
        &body,
        &setup,
    ]);
    let text = String::from_utf8_lossy(&set_up.stdout).into_owned();
    assert!(
        text.contains("200 OK") && text.contains("; Secure"),
        "{text}"
    );
    // In the clear there is nothing.
    let addr = format!("127.0.0.1:{port}").parse().unwrap();
    let plain = Client::stranger(addr)
        .raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(plain.is_none(), "{plain:?}");
}
