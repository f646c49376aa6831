//! Alerts at a real mail server and a web server, and a channel that is dead.

use crate::rig::{Box, of_kind};
use crate::show::{add, in_seconds, steps};
use crate::{PATIENCE, python};
use regia_testkit::certs::Authority;
use regia_testkit::{ports, wait};
use ring::hmac;
use serde_json::Value;
use std::net::TcpListener;

#[test]
fn people_are_told_and_a_dead_channel_delays_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let leaf = authority.leaf(&["localhost"]);
    let [starttls, smtps, web] = [ports::free(), ports::free(), ports::free()];
    let args = [
        starttls.to_string(),
        smtps.to_string(),
        web.to_string(),
        leaf.cert.display().to_string(),
        leaf.key.display().to_string(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(mut receiver) = python::serve("alerts", "receiver.py", &args) else {
        return;
    };
    receiver.wait_line("ready", PATIENCE);
    // It takes connections, and never says a word.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead_port = dead.local_addr().unwrap().port();
    let ca = authority.ca.display();
    let mut regia = Box::new(&format!(
        "[[alert]]\nid = \"dead\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{dead_port}/\"\nleast = \"info\"\n\
         [[alert]]\nid = \"dead-mail\"\nkind = \"email\"\nserver = \"smtps://localhost:{dead_port}\"\nfrom = \"regia@example.org\"\nto = [\"a@example.org\"]\nleast = \"info\"\n\
         [[alert]]\nid = \"mail\"\nkind = \"email\"\nserver = \"smtp://localhost:{starttls}\"\nuser = \"regia\"\npassword = \"correct horse\"\n\
         from = \"Regia <regia@example.org>\"\nto = [\"crew@example.org\", \"Anna <anna@example.org>\"]\ntls_ca_file = \"{ca}\"\nleast = \"info\"\n\
         [[alert]]\nid = \"mail2\"\nkind = \"email\"\nserver = \"smtps://localhost:{smtps}\"\nfrom = \"regia@example.org\"\nto = [\"crew@example.org\"]\n\
         tls_ca_file = \"{ca}\"\nleast = \"problem\"\n\
         [[alert]]\nid = \"hook\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{web}/hook?a=1\"\nsecret = \"signing-secret\"\nleast = \"info\"\n\
         [[alert]]\nid = \"telegram\"\nkind = \"webhook\"\nform = \"telegram\"\nchat = \"-100\"\nurl = \"http://127.0.0.1:{web}/bot1:token\"\nleast = \"info\"\n"
    ));
    regia.start(&[]);
    regia.wait_state("STANDBY");
    // There is no destination: pre-flight has something to tell, and so has the start.
    add(
        &regia,
        &format!(
            "id = \"talk\"\nname = \"A talk à la carte\"\nstart = \"{}\"\nzone = \"Europe/Rome\"\nlength_s = 8\n\
             [[step]]\nat = \"00:00\"\ndo = \"live\"\n\
             [[step]]\nat = \"+00:02\"\ndo = \"notify\"\ntext = \"two seconds\"\n\
             [[step]]\nat = \"+00:04\"\ndo = \"mark\"\ntext = \"four\"\n",
            rome(&in_seconds(15))
        ),
    );
    let heard = |receiver: &regia_testkit::process::Process| -> Vec<Value> {
        let lines = receiver.lines();
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(&line.text).ok())
            .collect()
    };
    let has = |all: &[Value], way: &str, word: &str| {
        let fits = |one: &&Value| one["way"] == way && one.to_string().contains(word);
        all.iter().find(fits).cloned()
    };
    let told = wait::until(PATIENCE, || {
        let all = heard(&receiver);
        let mail = has(&all, "starttls", "two seconds")?;
        let secure = has(&all, "smtps", "failed")?;
        let hook = all
            .iter()
            .find(|one| one["path"] == "/hook?a=1" && one.to_string().contains("two seconds"))
            .cloned()?;
        let telegram = all
            .iter()
            .find(|one| one["path"] == "/bot1:token/sendMessage")
            .cloned()?;
        Some((mail, secure, hook, telegram))
    });
    let (mail, secure, hook, telegram) =
        told.unwrap_or_else(|| panic!("not told: {:#?}", heard(&receiver)));
    assert_eq!(mail["sender"], "regia@example.org");
    assert_eq!(mail["to"].as_array().unwrap().len(), 2);
    assert!(
        secure["text"]
            .as_str()
            .unwrap()
            .contains("Subject: PROBLEM:"),
        "{secure}"
    );
    // The signature is of the time and the very bytes.
    let headers = &hook["headers"];
    let signed = format!(
        "{}.{}",
        headers["x-regia-timestamp"].as_str().unwrap(),
        hook["body"].as_str().unwrap()
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"signing-secret");
    let tag: String = hmac::sign(&key, signed.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(headers["x-regia-signature"], format!("sha256={tag}"));
    let body: Value = serde_json::from_str(hook["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (body["show"].as_str(), body["title"].as_str()),
        (Some("talk"), Some("A talk à la carte"))
    );
    // Times are the venue's, and say so.
    let at = body["at"].as_str().unwrap();
    assert!(at.ends_with("CET") || at.ends_with("CEST"), "{at}");
    let said: Value = serde_json::from_str(telegram["body"].as_str().unwrap()).unwrap();
    assert_eq!(said["chat_id"], "-100");
    // Pre-flight looked half an hour ahead, as soon as the show was there, and told.
    assert!(
        heard(&receiver)
            .iter()
            .any(|one| one.to_string().contains("in 0 min")),
        "no word of pre-flight"
    );
    wait::must("the run's end", PATIENCE, || {
        crate::show::schedule(&regia).filter(|schedule| schedule["running"].is_null())
    });
    regia.end();
    let log = regia.log();
    for (step, what, late) in steps(&log) {
        println!("step {step} ({what}): {late:?} ms late");
        assert!(late.is_none_or(|late| late < 2_000.0), "{what}: {late:?}");
    }
    assert_eq!(of_kind(&log, "marker").len(), 1);
    // No secret is in the log or on the terminal.
    let all = format!("{log:?}");
    for secret in ["correct horse", "signing-secret", "bot1:token"] {
        assert!(!all.contains(secret));
    }
    drop(dead);
}

/// The same moment by clocks in Rome.
fn rome(utc: &str) -> String {
    let at: jiff::civil::DateTime = utc.parse().unwrap();
    let at = at
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap()
        .in_tz("Europe/Rome")
        .unwrap();
    at.datetime().to_string()
}
