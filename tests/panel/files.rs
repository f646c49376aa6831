//! The panel's own files: small for whoever takes gzip, plain for whoever does not, and not again for whoever has them.

use crate::client::{Answer, Client};
use crate::rig::Panel;
use regia_testkit::skip;
use std::path::Path;
use std::process::{Command, Stdio};

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let out = gzip.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(out.status.success());
    out.stdout
}

#[test]
fn files_are_gzipped_for_whoever_takes_it() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("web-ui/dist");
    let Ok(assets) = std::fs::read_dir(dist.join("assets")) else {
        let why = "web-ui/dist is not there: scripts/test.sh builds it";
        skip::unavailable("files_are_gzipped_for_whoever_takes_it", why);
        return;
    };
    let panel = Panel::start("");
    let plain = panel.stranger();
    let gzip = plain.with("Accept-Encoding", "br, gzip;q=0.8");
    let mut paths: Vec<String> = vec!["/".to_owned(), "/index.html".to_owned()];
    for asset in assets {
        let name = asset.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".js") || name.ends_with(".css") {
            paths.push(format!("/assets/{name}"));
        }
    }
    let (mut whole, mut sent, mut small) = (0, 0, 0);
    for path in &paths {
        let asked = plain.get(path);
        assert_eq!(asked.status, 200, "{path}");
        assert_eq!(asked.header("content-encoding"), None, "{path}");
        let packed = gzip.get(path);
        whole += asked.body.len();
        sent += packed.body.len();
        if packed.header("content-encoding").is_none() {
            // It would hardly be smaller.
            small += 1;
            assert!(asked.body.len() < 2_000, "{path}: {}", asked.body.len());
            continue;
        }
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("vary"), Some("accept-encoding"));
        assert_eq!(packed.header("content-type"), asked.header("content-type"));
        assert_eq!(gunzipped(&packed.body), asked.body, "{path}");
        let known = |client: &Client, answer: &Answer| {
            let etag = answer.header("etag").unwrap().to_owned();
            client.with("If-None-Match", &etag).get(path).status
        };
        assert_ne!(packed.header("etag"), asked.header("etag"), "{path}");
        assert_eq!((known(&gzip, &packed), known(&plain, &asked)), (304, 304));
        assert_eq!(known(&plain, &packed), 200, "another form of it");
    }
    eprintln!(
        "{} files, {whole} bytes, {sent} gzipped; {small} too small",
        paths.len()
    );
    assert!(sent * 2 < whole);
    assert_eq!(plain.get("/index.html.gz").status, 404);
    assert_eq!(gzip.get("/air").status, 200);
}
