//! The preview: the very units that the destinations get, decodable, and made for nobody who does not look.

use crate::client::Client;
use crate::rig::{Ingest, Panel, alone, end, go_live};
use regia_testkit::media;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tungstenite::Message;

/// What a viewer was sent over so long.
fn watch(client: &Client, length: Duration) -> Vec<u8> {
    let mut socket = client.socket("/api/v1/preview/programme.flv").unwrap();
    let began = Instant::now();
    let mut bytes = Vec::new();
    let mut first = None;
    while began.elapsed() < length {
        if let Message::Binary(portion) = socket.read().unwrap() {
            first.get_or_insert_with(|| began.elapsed());
            bytes.extend_from_slice(&portion);
        }
    }
    eprintln!(
        "the first bytes came after {:.0} ms",
        first.unwrap().as_secs_f64() * 1e3
    );
    bytes
}

/// Kind and body of each tag, without its time; whole ones only.
fn tags(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = bytes.get(13..).unwrap_or_default();
    let mut tags = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<11>() {
        let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let Some(body) = after.get(..size) else { break };
        let Some(next) = after.get(size + 4..) else {
            break;
        };
        tags.push((header[0], body));
        rest = next;
    }
    tags
}

/// Pictures and sound, without what configures them.
fn units(bytes: &[u8]) -> Vec<Vec<u8>> {
    let all = tags(bytes).into_iter();
    all.filter(|(kind, body)| matches!(kind, 8 | 9) && body.get(1) == Some(&1))
        .map(|(_, body)| body.to_vec())
        .collect()
}

/// How many pictures ffprobe decodes. (ffmpeg would complain of times that its own guess of a frame rate has made.)
fn decoded(file: &Path) -> usize {
    let done = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-select_streams", "v:0"])
        .args(["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty(), "{said}");
    let count = String::from_utf8_lossy(&done.stdout);
    count.trim().trim_end_matches(',').parse().unwrap()
}

fn recorded(dir: &Path) -> Vec<Vec<u8>> {
    let files = regia_testkit::flv::files(dir);
    assert_eq!(files.len(), 1, "{files:?}");
    units(&std::fs::read(&files[0]).unwrap())
}

#[test]
fn a_viewer_sees_the_units_that_are_sent() {
    let _alone = alone();
    let mut ingest = Ingest::start();
    let dir = tempfile::tempdir().unwrap();
    let recording = format!(
        "\n[[recording]]\nid = \"master\"\nkind = \"copy\"\npath = {:?}\n",
        dir.path()
    );
    let mut panel = Panel::start(&(ingest.destination("show") + &recording));
    go_live(&mut panel);
    std::thread::sleep(Duration::from_secs(3));
    let viewer = panel.user("vera", "viewer");
    let seen = watch(&viewer, Duration::from_secs(6));
    std::thread::sleep(Duration::from_secs(1));
    end(&mut panel);

    assert_eq!(&seen[..4], b"FLV\x01");
    // What a viewer has got so far may end within a tag.
    let whole: usize = 13
        + tags(&seen)
            .iter()
            .map(|(_, body)| body.len() + 15)
            .sum::<usize>();
    let file = dir.path().join("seen.bin");
    std::fs::write(&file, &seen[..whole]).unwrap();
    let streams = media::streams(&file);
    let codecs: Vec<_> = streams
        .iter()
        .map(|s| s["codec_name"].as_str().unwrap())
        .collect();
    assert!(
        codecs.contains(&"h264") && codecs.contains(&"aac"),
        "{codecs:?}"
    );
    let pictures = tags(&seen)
        .iter()
        .filter(|(kind, body)| *kind == 9 && body.get(1) == Some(&1))
        .count();
    assert_eq!(
        decoded(&file),
        pictures,
        "every picture, without a complaint"
    );

    let (seen, recorded) = (units(&seen), recorded(dir.path()));
    assert!(seen.len() > 200, "{}", seen.len());
    let at = recorded.iter().position(|unit| *unit == seen[0]);
    let at = at.expect("the first unit that was seen was recorded");
    let same = seen
        .iter()
        .zip(&recorded[at..])
        .take_while(|(a, b)| a == b)
        .count();
    assert_eq!(same, seen.len(), "bit for bit, and none left out");
    let report = ingest.report();
    assert_eq!(report["streams"][0]["stamps"]["lost"], 0, "{report}");

    // Its files are listed, and given to whom may have them.
    let list = panel.admin.get("/api/v1/recordings").json();
    let file = list[0]["file"].as_str().unwrap();
    assert!(list[0]["session"].is_string(), "{list}");
    let path = format!("/api/v1/recordings/{file}");
    assert_eq!(viewer.get(&path).status, 403);
    let given = panel.admin.get(&path);
    assert_eq!(given.status, 200);
    assert_eq!(given.body, std::fs::read(dir.path().join(file)).unwrap());
    // Nothing else is given by any path.
    std::os::unix::fs::symlink(
        "/etc/passwd",
        dir.path().join("master-20260101T000000Z.flv"),
    )
    .unwrap();
    for name in [
        "../regia.toml",
        "..%2fregia.toml",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%5c..%5cetc%5cpasswd",
        "%2fetc%2fpasswd",
        "seen.bin",
        "master-20260101T000000Z.flv",
        "master-20260731T193000Z.flv%00",
        "....//....//etc/passwd",
    ] {
        let answer = panel.admin.get(&format!("/api/v1/recordings/{name}"));
        assert!(
            matches!(answer.status, 400 | 404),
            "{name}: {}",
            answer.status
        );
        assert!(!answer.text().contains("root:"), "{name}");
    }
    for path in [
        "/../Cargo.toml",
        "/assets/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
    ] {
        let answer = panel.stranger().get(path);
        assert!(
            !answer.text().contains("root:") && !answer.text().contains("[package]"),
            "{path}"
        );
    }
}
