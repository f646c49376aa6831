//! Adobe authentication over real connections: the server names the method, then gives a challenge, then takes the answer.

use crate::rig::{PATIENCE, Plan, beside_others, destination};
use crate::server::{Listen, Peer, Server, recorded, status};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use regia::rtmp::{Amf0Value, ReceiverEvent};
use std::path::PathBuf;
use std::time::Duration;

const ASKS: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const CHALLENGES: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : \
     ?reason=needauth&user=john&salt=SALT&challenge=CHAL&opaque=OPAQ";
const FAILS: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=OPAQ";

fn md5(text: &str) -> String {
    STANDARD.encode(Md5::digest(text.as_bytes()))
}

fn parameter(app: &str, name: &str) -> Option<String> {
    app.split(['?', '&'])
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// What a server of this kind answers to `connect`: None takes it. The formula is librtmp's.
fn refusal(app: &str) -> Option<&'static str> {
    if parameter(app, "authmod").as_deref() != Some("adobe") {
        return Some(ASKS);
    }
    assert_eq!(parameter(app, "user").as_deref(), Some("john"), "{app}");
    let Some(response) = parameter(app, "response") else {
        return Some(CHALLENGES);
    };
    let theirs = parameter(app, "challenge").expect("the client has a challenge of its own");
    let salted = md5("johnSALTsesame");
    let right = md5(&format!("{salted}OPAQ{theirs}"));
    (response != right).then_some(FAILS)
}

fn serve(dir: PathBuf) -> Server {
    Server::start(&Listen::default(), move |peer: &mut Peer| {
        while let Some(event) = peer.next() {
            if let ReceiverEvent::Connect { app, .. } = &event
                && let Some(description) = refusal(app)
            {
                // What the receiver would have answered is thrown away.
                peer.receiver.take_output();
                let code = "NetConnection.Connect.Rejected";
                let mut error = vec![0x03, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0];
                let payload = regia::rtmp::amf0::encode(&[
                    Amf0Value::string("_error"),
                    Amf0Value::Number(1.0),
                    Amf0Value::Null,
                    status("error", code, description),
                ]);
                error[4..7].copy_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
                // The client knows of no other chunk size than RTMP's first.
                for (number, part) in payload.chunks(128).enumerate() {
                    if number > 0 {
                        error.push(0xc3);
                    }
                    error.extend_from_slice(part);
                }
                peer.say(&error);
                peer.take_for(Duration::from_secs(1));
                return;
            }
            if matches!(event, ReceiverEvent::PublishRequested { .. }) {
                peer.record_to(&dir.join(format!("{}.flv", peer.number)));
                peer.receiver.accept_publish();
            }
        }
    })
}

#[test]
fn adobe_authentication_takes_three_connections_and_a_wrong_password_is_told() {
    let _turn = beside_others();
    let plan = Plan::new();
    let dir = plan.dir.path().join("arrived");
    std::fs::create_dir(&dir).unwrap();
    let (right, wrong, none) = (serve(dir.clone()), serve(dir.clone()), serve(dir.clone()));
    let mut on_air = plan
        .destination(
            "right",
            &right.url(),
            "user = \"john\"\npassword = \"sesame\"",
        )
        .destination(
            "wrong",
            &wrong.url(),
            "user = \"john\"\npassword = \"open\"",
        )
        .destination("none", &none.url(), "")
        .start();
    on_air.settle("right");
    let error = |status: &serde_json::Value, id: &str| {
        destination(status, id).and_then(|to| Some(to["error"].as_str()?.to_owned()))
    };
    let last = on_air.regia.wait_status("both errors", PATIENCE, |status| {
        error(status, "wrong").is_some() && error(status, "none").is_some()
    });
    let (wrong_says, none_says) = (
        error(&last, "wrong").unwrap(),
        error(&last, "none").unwrap(),
    );
    println!("Adobe authentication, wrong password: {wrong_says}");
    println!("Adobe authentication, no password: {none_says}");
    assert!(
        wrong_says.ends_with("check this destination's user and password"),
        "{wrong_says}"
    );
    assert!(!wrong_says.contains("open"), "{wrong_says}");
    assert_eq!(
        none_says,
        "the server asks for a user and a password: give this destination `user` and `password`"
    );
    println!(
        "Adobe authentication: {} connections for the right password, {} for a wrong one",
        right.accepted(),
        wrong.accepted()
    );
    assert_eq!(right.accepted(), 3);
    // Again after a while: an operator may have put the password right at the other end.
    assert!((3..=6).contains(&wrong.accepted()), "{}", wrong.accepted());
    let log = on_air.regia.process.text();
    assert!(!log.contains("sesame") && !log.contains("response="));
    let truth = on_air.truth_of(|| recorded(&dir));
    truth.assert_nothing_lost();
}
