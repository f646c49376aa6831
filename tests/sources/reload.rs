//! Encoders that push to a box whose configuration is changed meanwhile.

use crate::loss::encoder;
use regia_testkit::process::Process;
use regia_testkit::{ports, regia, wait};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const REGIA: &str = env!("CARGO_BIN_EXE_regia");
const PATIENCE: Duration = Duration::from_secs(40);
const KEY: &str = "phone-before-7f3a";
const NEXT_KEY: &str = "phone-after-91bc";

/// A change of the configuration, asked for where the CLI asks.
#[track_caller]
fn put(regia: &regia::Regia, path: &str, body: &Value) -> Value {
    let mut socket = UnixStream::connect(regia.state_dir().join("regia.sock")).unwrap();
    let body = body.to_string();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: regia\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

fn source<'a>(status: &'a Value, id: &str) -> Option<&'a Value> {
    let mut sources = status["sources"].as_array()?.iter();
    sources.find(|source| source["id"] == id)
}

fn wait_live(regia: &mut regia::Regia, what: &str) -> Value {
    let status = regia.wait_status(what, PATIENCE, |status| {
        source(status, "stage").is_some_and(|stage| {
            stage["state"] == "live" && stage["health"]["frames"].as_u64() > Some(30)
        })
    });
    source(&status, "stage").unwrap().clone()
}

#[test]
fn an_encoder_is_taken_after_the_engine_was_started_anew() {
    let _alone = crate::support::alone_blocking();
    let port = ports::free();
    let text = format!(
        "[programme]\nwidth = 320\nheight = 180\nfps = 30\n[programme.video]\nencoder = \"x264\"\nbitrate_kbps = 800\n\
         min_bitrate_kbps = 400\ntune = \"latency\"\npreset = \"ultrafast\"\n[rtmp]\nlisten = \"127.0.0.1:{port}\"\n\
         [[source]]\nid = \"stage\"\nkind = \"rtmp\"\nkey = {KEY:?}\n\
         [[scene]]\nid = \"wide\"\nlayers = [{{ source = \"stage\" }}]\n"
    );
    let mut regia = regia::Setup::new(REGIA, text).not_live().start();
    let push = |key: &str| encoder(&["-f", "flv", &format!("rtmp://127.0.0.1:{port}/live/{key}")]);
    let waits = |regia: &mut regia::Regia| {
        regia.wait_status("a source that waits", PATIENCE, |status| {
            source(status, "stage").is_some_and(|stage| stage["state"] == "lost")
        });
    };
    waits(&mut regia);
    let mut phone = push(KEY);
    wait_live(&mut regia, "the phone's picture");
    let before = regia.engine_pid().expect("an engine");

    // With another source the engine is another one.
    let answer = put(
        &regia,
        "/api/v1/config/source/second",
        &json!({"kind": "test"}),
    );
    assert_eq!(answer["applies"], "now", "{answer}");
    regia.wait_status("the second source", PATIENCE, |status| {
        source(status, "second").is_some_and(|second| second["state"] == "live")
    });
    let engine = regia.engine_pid().expect("an engine");
    assert_ne!(engine, before, "the engine was started anew");
    cut_off(&mut phone, "with its engine");
    waits(&mut regia);
    phone = push(KEY);
    let stage = wait_live(&mut regia, "the phone's picture after the change");
    assert_eq!(stage["health"]["format"], "480x270 30 fps, 48000 Hz mono");

    // Another key changes nothing that the engine makes; the old one is no key any more.
    let changed = json!({"kind": "rtmp", "key": NEXT_KEY});
    put(&regia, "/api/v1/config/source/stage", &changed);
    cut_off(&mut phone, "with its key");
    waits(&mut regia);
    let mut old = push(KEY);
    assert!(
        !old.wait_end(PATIENCE).success(),
        "the old key is refused after the change"
    );
    let _phone = push(NEXT_KEY);
    wait_live(&mut regia, "the phone's picture on its new key");
    assert_eq!(regia.engine_pid(), Some(engine), "the engine went on");
    let log = regia.process.text();
    assert!(log.contains("Regia's configuration was changed"), "{log}");
    assert!(
        !log.contains(KEY) && !log.contains(NEXT_KEY),
        "no key in the log"
    );
}

#[track_caller]
fn cut_off(phone: &mut Process, why: &str) {
    let ended = wait::until(PATIENCE, || phone.has_ended().then_some(()));
    assert!(ended.is_some(), "the encoder was not cut off {why}");
}
