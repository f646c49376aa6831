//! What only the server's end can tell. `regia run --live` goes on trying, says why in the status and in the log, and never
//! exits: a venue's network may come back in a minute, and a platform's event may open in an hour.

use crate::rejecting::Rejecting;
use crate::{PATIENCE, REGIA};
use regia_testkit::certs::{Authority, Leaf};
use regia_testkit::{nginx, ports, regia};
use std::io::Read;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

const KEY: &str = "Zq7Lm2planted9Xw";

fn config(server: &str, ca: Option<&Path>) -> String {
    let ca = ca.map_or_else(String::new, |ca| format!("tls_ca_file = {ca:?}\n"));
    format!(
        "[programme]\nwidth = 640\nheight = 360\nfps = 30\n[programme.video]\nencoder = \"x264\"\nbitrate_kbps = 2000\n\
         [[source]]\nid = \"stage\"\nkind = \"test\"\n\
         [[destination]]\nid = \"out\"\nserver = {server:?}\nkey = {KEY:?}\n{ca}"
    )
}

/// Goes on air there, and compares the error of the status and the log's line. `HOST` stands for the server's host and port.
#[track_caller]
fn says(server: &str, ca: Option<&Path>, expected: &str) {
    let mut regia = regia::Setup::new(REGIA, config(server, ca)).start();
    let status = regia.wait_status("an error", PATIENCE, |status| {
        status["destinations"][0]["error"].is_string()
    });
    let to = &status["destinations"][0];
    let host = server.split('/').nth(2).unwrap();
    assert_eq!(
        to["error"].as_str().unwrap().replace(host, "HOST"),
        expected
    );
    assert_eq!(
        (status["state"].as_str(), to["state"].as_str()),
        (Some("CONNECTING"), Some("connecting"))
    );
    let text = regia.cli(&["live", "status"]);
    assert!(text.stdout.contains("CONNECTING"), "{}", text.stdout);
    // It is still there, still trying, and has said so once.
    std::thread::sleep(Duration::from_secs(2));
    let log = regia.process.text();
    assert!(regia.process.try_status().is_none(), "it gave up: {log}");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" WARN destination{"))
        .collect();
    println!("{}", lines.join("\n"));
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].replace(host, "HOST").contains(expected), "{log}");
    assert!(!(log + &status.to_string()).contains(KEY));
    // Nothing was published, so there is nothing to deliver: the end is prompt and in order.
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
}

fn nginx_with(leaf: &Leaf, dir: &Path) -> nginx::Nginx {
    nginx::Setup::new(&dir.join("nginx"))
        .tls(ports::loopback(), leaf)
        .start()
}

#[test]
fn refused_connection() {
    says(
        &format!("rtmp://{}/live", ports::loopback()),
        None,
        "HOST refused the connection: nothing listens there; check the server's host and port",
    );
}

#[test]
fn dns_failure() {
    // RFC 6761: never resolves. In which words, depends on whether this machine has a name server.
    let words = ("no-such-host.invalid", 1935)
        .to_socket_addrs()
        .unwrap_err();
    says(
        "rtmp://no-such-host.invalid:1935/live",
        None,
        &format!(
            "cannot resolve no-such-host.invalid: {words}; check the name, and the name servers of this uplink"
        ),
    );
}

#[test]
fn certificate_of_an_unknown_authority() {
    let dir = tempfile::tempdir().unwrap();
    let leaf = Authority::new(dir.path()).leaf(&["127.0.0.1"]);
    let nginx = nginx_with(&leaf, dir.path());
    says(
        &nginx.rtmps_url(),
        None,
        "127.0.0.1 shows a certificate that is not trusted: this machine does not know its issuer; for a private authority set tls_ca_file",
    );
}

#[test]
fn certificate_that_is_out_of_date() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let nginx = nginx_with(&authority.expired(&["127.0.0.1"]), dir.path());
    says(
        &nginx.rtmps_url(),
        Some(&authority.ca),
        "127.0.0.1 shows a certificate that is not trusted: it has expired; whoever runs the server must renew it, unless this machine's clock is wrong",
    );
}

#[test]
fn certificate_for_another_host() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let nginx = nginx_with(&authority.leaf(&["ingest.example"]), dir.path());
    says(
        &nginx.rtmps_url(),
        Some(&authority.ca),
        "127.0.0.1 shows a certificate for ingest.example; check the host of the server URL",
    );
}

/// Accepts, reads what comes first, and closes.
fn closes_after_hello() -> SocketAddr {
    let listener = TcpListener::bind(ports::loopback()).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    addr
}

#[test]
fn closed_during_the_tls_handshake() {
    says(
        &format!("rtmps://{}/live", closes_after_hello()),
        None,
        "127.0.0.1 closed the connection during the TLS handshake; does this port speak RTMPS?",
    );
}

#[test]
fn closed_during_the_rtmp_handshake() {
    says(
        &format!("rtmp://{}/live", closes_after_hello()),
        None,
        "the server closed the connection during the RTMP handshake; is this an RTMP server?",
    );
}

#[test]
fn rtmps_to_a_port_that_speaks_plain_rtmp() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = nginx::Setup::new(&dir.path().join("nginx")).start();
    let url = nginx.rtmp_url().replace("rtmp://", "rtmps://");
    says(
        &url,
        None,
        "HOST took the connection and says nothing; does this port speak RTMPS?",
    );
}

#[test]
fn a_key_that_the_server_rejects() {
    let server = Rejecting::start(|key| {
        (
            "NetStream.Publish.Denied",
            format!("stream key {key} is not known here"),
        )
    });
    says(
        &format!("rtmp://{}/live", server.addr),
        None,
        "the server refused the stream: stream key •••• is not known here (NetStream.Publish.Denied); check the stream key, and that the platform's event is open for streaming",
    );
    println!("{} publishes", server.refused());
}

#[test]
fn an_application_that_the_server_does_not_have() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = nginx::Setup::new(&dir.path().join("nginx")).start();
    says(
        &nginx.rtmp_url().replace("/live", "/lvie"),
        None,
        "the server closed the connection without answering `connect`; check the path of the server URL",
    );
}
