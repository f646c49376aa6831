//! What the reader says of uplinks, destinations, recordings and the panel.

use crate::machine::Machine;
use crate::{GOOD, SECRET, lines, loaded, says};
use regia::config::{OnLimit, PanelTls, Secret, StreamKey};

#[test]
fn uplinks() {
    says(
        "interface = \"eth0\"",
        "interface = \"eth1\"",
        &[
            "25:13: uplink \"fibre\".interface: there is no interface \"eth1\"; this machine has eth0, lo, wwan0",
        ],
    );
    says(
        "interface = \"wwan0\"",
        "interface = \"eth0\"",
        &[
            "29:13: warning: uplink \"lte\".interface: uplink \"fibre\" leaves by eth0 already; two uplinks over one interface fail together",
        ],
    );
    says(
        "interface = \"eth0\"",
        "interface = \"eth0\"\ndns = [\"9.9.9.9\", \"dns.example\"]",
        &[
            "26:19: uplink \"fibre\".dns[2]: \"dns.example\" is not the address of a name server; for example \"9.9.9.9\"",
        ],
    );
    says(
        "\"fibre\", \"lte\"",
        "\"fiber\", \"lte\"",
        &[
            "36:12: destination \"show\".uplinks[1]: there is no uplink \"fiber\"; did you mean \"fibre\"?",
        ],
    );
    says(
        "\"fibre\", \"lte\"",
        "\"lte\", \"lte\"",
        &[
            "36:19: destination \"show\".uplinks[2]: \"lte\" is in the list already; name each uplink once",
        ],
    );
}

#[test]
fn servers() {
    let server = "server = \"rtmps://host:443/live\"";
    let example = "write it as the platform gives it, for example rtmps://host:443/live";
    for (url, said) in [
        ("rtmps://host:443", format!("no application in \"rtmps://host:443\"; {example}")),
        (
            "https://host/live",
            format!("has the scheme \"https\", which is not one of rtmp, rtmps; {example}"),
        ),
        (
            "rtmps://host:0/live",
            "has the port 0; leave the port out or give the platform's".to_owned(),
        ),
        (
            "rtmps://me:Xq7vT2mNzR4w@host/live",
            "carries a user or a password; take it out of the URL and use the keys user and password".to_owned(),
        ),
    ] {
        let expected = format!("34:10: destination \"show\".server: {said}");
        says(server, &format!("server = {url:?}"), &[&expected]);
    }
    says(
        server,
        "",
        &[
            "31:1: destination \"show\".server: is missing; YouTube's is usually rtmps://a.rtmps.youtube.com:443/live2",
        ],
    );
    says(
        server,
        "server = \" rtmps://host:443/live\"",
        &[
            "34:10: warning: destination \"show\".server: has white space around it, which Regia leaves away; take it out of the URL",
        ],
    );
    says(
        server,
        "server = \"rtmps://host:443/live\"\ntls_ca_file = \"none.pem\"",
        &[
            "35:15: destination \"show\".tls_ca_file: /etc/regia/none.pem does not exist; a relative path starts at the configuration's directory",
        ],
    );
}

#[test]
fn backups() {
    let uplinks = "uplinks = [\"fibre\", \"lte\"]";
    let same = "backup_server = \"rtmps://host:443/live\"";
    says(uplinks, &format!("{uplinks}\n{same}"), &[]);
    says(
        uplinks,
        same,
        &[
            "36:17: warning: destination \"show\".backup_server: is the same as server, and there is no second uplink to reach it by; leave it out, give the platform's own backup ingest, or name two uplinks",
        ],
    );
    says(
        uplinks,
        "mode = \"both\"",
        &[
            "36:8: destination \"show\".mode: \"both\" sends to two ingests, and there is no backup_server; give the platform's backup ingest as backup_server",
        ],
    );
    says(
        uplinks,
        "mode = \"both\"\nbackup_server = \"rtmps://b.host:443/live\"",
        &[
            "36:8: warning: destination \"show\".mode: \"both\" over one uplink: both streams end when it does; name two uplinks in uplinks",
        ],
    );
    says(
        uplinks,
        "mode = \"bth\"",
        &[
            "36:8: destination \"show\".mode: \"bth\" is not one of failover, both; did you mean \"both\"?",
        ],
    );
}

#[test]
fn stream_keys() {
    let key = "key = \"Xq7vT2mNzR4w\"";
    says(
        key,
        "",
        &[
            "31:1: destination \"show\".key: is missing; give one of key, key_file, key_env, key_secret; where a platform gives one URL and no key, the key is what follows its last slash",
        ],
    );
    says(
        key,
        &format!("{key}\nkey_env = \"KEY\""),
        &[
            "36:11: destination \"show\".key_env: there is key as well, so it is not clear which holds; keep one of key, key_env",
        ],
    );
    says(
        key,
        "key = \" Xq7vT2mNzR4w\"",
        &[
            "35:7: warning: destination \"show\".key: has white space around it, which Regia leaves away; take it out of the key",
        ],
    );
    says(
        key,
        "key = \"Xq7vT2 mNzR4w\"",
        &[
            "35:7: destination \"show\".key: has white space or a control character inside; copy it again from the platform",
        ],
    );
    says(
        key,
        "key = \"\"",
        &["35:7: destination \"show\".key: is empty; copy it again from the platform"],
    );
    says(
        key,
        "key = 42",
        &[
            "35:7: destination \"show\".key: must be a string, not a whole number; for example key = \"…\"",
        ],
    );
    says(key, "key_file = \"stream.key\"", &[]);
    says(
        key,
        "key_file = \"open.key\"",
        &[
            "35:12: warning: destination \"show\".key_file: /etc/regia/open.key is open to others (mode 0644); chmod 600 /etc/regia/open.key",
        ],
    );
    // A key pasted into the wrong line is not repeated.
    says(
        key,
        "key_file = \"Xq7vT2mNzR4w\"",
        &[
            "35:12: destination \"show\".key_file: the file it names does not exist; a relative path starts at the configuration's directory; a file holds the key and nothing else",
        ],
    );
    says(
        key,
        "key_file = \"/dev/video0\"",
        &[
            "35:12: destination \"show\".key_file: what it names is not a regular file; a file holds the key and nothing else",
        ],
    );
    says(
        key,
        "key_file = \"locked.key\"",
        &[
            "35:12: destination \"show\".key_file: the file it names can't be read: Permission denied (os error 13); it must be readable for the user Regia runs as",
        ],
    );
    says(key, "key_env = \"STREAM_KEY\"", &[]);
    says(
        key,
        "key_env = \"Xq7vT2mNzR4w\"",
        &[
            "35:11: destination \"show\".key_env: the environment variable it names is not set; set it where Regia is started (systemd: EnvironmentFile=)",
        ],
    );
    says(key, "key_secret = \"main\"", &[]);
    says(
        key,
        "key_secret = \"a key, not a name\"",
        &[
            "35:14: destination \"show\".key_secret: is not the name of a key slot; letters, digits, - and _; `regia key set NAME` fills it",
        ],
    );
    let text = format!(
        "{GOOD}[[destination]]\nid = \"twin\"\nserver = \"rtmps://host:443/live\"\nkey = \"{SECRET}\"\n"
    );
    assert_eq!(
        lines(&text, &Machine::venue()),
        [
            "45:1: destination \"twin\": has the server and the key of destination \"show\"; two streams on one key throw each other out: take one away"
        ]
    );
}

#[test]
fn a_key_file_ends_with_a_newline() {
    let text = GOOD.replace("key = \"Xq7vT2mNzR4w\"", "key_file = \"stream.key\"");
    let key = loaded(&text).settings.destinations.remove(0).key;
    assert_eq!(key, StreamKey::Given(Secret::new(SECRET)));
}

#[test]
fn credentials() {
    let key = "key = \"Xq7vT2mNzR4w\"";
    says(
        key,
        &format!("{key}\nuser = \"encoder\""),
        &[
            "31:1: destination \"show\".password: is missing, and there is a user; give one of password, password_file, password_env",
        ],
    );
    says(
        key,
        &format!("{key}\npassword = \"Xq7vT2mNzR4w\""),
        &["31:1: destination \"show\".user: is missing, and there is a password"],
    );
}

#[test]
fn platforms_and_limits() {
    let platform = "platform = \"youtube\"";
    says(
        platform,
        "platform = \"linkdin\"",
        &[
            "33:12: destination \"show\".platform: there is no platform \"linkdin\"; did you mean \"linkedin\"?",
        ],
    );
    says(
        platform,
        "platform = \"periscope\"",
        &[
            "33:12: destination \"show\".platform: there is no platform \"periscope\"; one of custom, rehearsal, linkedin, youtube, facebook, vimeo, twitch, x; custom is for every other ingest",
        ],
    );
    says(
        platform,
        "platform = \"linkedin\"\nmargin_s = \"4h\"",
        &[
            "34:12: destination \"show\".margin_s: the margin is 14400 s, which is not shorter than the limit of 14400 s; the session ends at the limit less the margin",
        ],
    );
    says(
        platform,
        "platform = \"custom\"\nlimit_s = 60\nmargin_s = 90",
        &[
            "35:12: destination \"show\".margin_s: the margin is 90 s, which is not shorter than the limit of 60 s; the session ends at the limit less the margin",
        ],
    );
    says(
        platform,
        "platform = \"linkedin\"\non_limit = \"rollover\"",
        &[
            "34:12: destination \"show\".on_limit: \"rollover\" starts a second session before the first ends, and that needs a further key; give one of rollover_key, rollover_key_file, rollover_key_env, rollover_key_secret, or write \"end\"",
        ],
    );
    says(
        platform,
        "platform = \"linkedin\"\non_limit = \"rollover\"\nrollover_key = \"Xq7vT2mNzR4w\"",
        &[
            "34:12: destination \"show\".on_limit: \"rollover\" needs a further key, and the one given is the first again; two streams on one key throw each other out",
        ],
    );
    let text = GOOD.replace(
        platform,
        "platform = \"linkedin\"\non_limit = \"rollover\"\nrollover_key_env = \"NEXT_KEY\"",
    );
    let destination = loaded(&text).settings.destinations.remove(0);
    assert_eq!(destination.on_limit, OnLimit::Rollover);
    assert_eq!(
        destination.rollover_key,
        Some(StreamKey::Given(Secret::new("nextkey")))
    );
    says(
        "[programme.video]",
        "[programme.audio]\nbitrate_kbps = 192\n[programme.video]",
        &[
            "7:16: warning: programme.audio.bitrate_kbps: 192 kb/s is over what YouTube takes, 160 kb/s (what other encoders use); at most 160",
        ],
    );
    let text = GOOD
        .replace("youtube", "facebook")
        .replace("rtmps://host:443/live", "rtmp://host/live");
    assert_eq!(
        lines(&text, &Machine::venue()),
        [
            "34:10: destination \"show\".server: plain rtmp, but Facebook takes only rtmps (the platform's documentation); give the rtmps:// URL that the platform shows"
        ]
    );
}

#[test]
fn recordings_and_panel() {
    says(
        "path = \"recordings\"",
        "path = \"/none\"",
        &["41:8: recording \"master\".path: /none does not exist; mkdir -p /none"],
    );
    says(
        "path = \"recordings\"",
        "path = \"/readonly\"",
        &[
            "41:8: recording \"master\".path: /readonly can't be written to; give it to the user Regia runs as",
        ],
    );
    says(
        "path = \"recordings\"",
        "path = \"clips/opener.mp4\"",
        &[
            "41:8: recording \"master\".path: /etc/regia/clips/opener.mp4 is not a directory; each broadcast makes a file of its own in it",
        ],
    );
    says(
        "kind = \"copy\"",
        "kind = \"programme\"",
        &[
            "40:8: recording \"master\".kind: this version of Regia has no programme recordings yet; \"copy\" keeps the exact encoded programme",
        ],
    );
    says(
        "listen = \"127.0.0.1:8080\"",
        "listen = \"0.0.0.0:8080\"\ntls = false",
        &[
            "45:7: panel.tls: passwords would cross the network in the clear at 0.0.0.0; take tls = false away (without tls_cert_file the panel makes a certificate of its own), or listen on 127.0.0.1",
        ],
    );
    says(
        "127.0.0.1:8080",
        "localhost",
        &[
            "44:10: panel.listen: \"localhost\" is not an address with a port; for example \"127.0.0.1:8080\"",
        ],
    );
    says(
        "listen = \"127.0.0.1:8080\"",
        "tls_cert_file = \"/etc/regia/stream.key\"",
        &[
            "44:17: panel.tls_cert_file: tls_cert_file is there without tls_key_file; add tls_key_file: both are PEM",
        ],
    );
}

/// Behind `[panel]`.
fn desks(lines: &str) -> String {
    format!("listen = \"127.0.0.1:8080\"\n[panel.obs_websocket]\n{lines}")
}

#[test]
fn other_desks() {
    let panel = "listen = \"127.0.0.1:8080\"";
    let says = |lines: &str, expected: &[&str]| says(panel, &desks(lines), expected);
    says(
        "listen = \"127.0.0.1:4455\"\npassword_file = \"stream.key\"",
        &[],
    );
    says(
        "listen = \"127.0.0.1:4455\"",
        &[
            "45:1: warning: panel.obs_websocket.password_file: without a password, whatever runs on this machine can take scenes and end the broadcast; name a file of mode 0600 that holds one: password_file = \"/etc/regia/obs.password\"",
        ],
    );
    says(
        "password_file = \"stream.key\"",
        &["45:1: panel.obs_websocket.listen: is missing; OBS itself has \"127.0.0.1:4455\""],
    );
    says(
        "listen = \"4455\"\npassword_file = \"stream.key\"",
        &[
            "46:10: panel.obs_websocket.listen: \"4455\" is not an address with a port; for example \"127.0.0.1:4455\"",
        ],
    );
    says(
        "listen = \"127.0.0.1:8080\"\npassword_file = \"stream.key\"",
        &[
            "46:10: panel.obs_websocket.listen: 127.0.0.1:8080 is the panel's own address; OBS itself has port 4455",
        ],
    );
    says(
        "listen = \"0.0.0.0:4455\"",
        &[
            "45:1: panel.obs_websocket.password_file: is missing, and the network can see 0.0.0.0; name a file of mode 0600 that holds a password, or listen on 127.0.0.1",
        ],
    );
    says(
        "listen = \"127.0.0.1:4455\"\npassword = \"Xq7vT2mNzR4w\"",
        &[
            "47:12: panel.obs_websocket.password: stands in the configuration in the clear; put it in a file of mode 0600, and name that with password_file",
        ],
    );
    says(
        "listen = \"127.0.0.1:4455\"\npassword_env = \"NEXT_KEY\"",
        &[
            "47:16: panel.obs_websocket.password_env: the password has fewer than 10 characters; three or four words are easy to remember",
        ],
    );
    says(
        "listen = \"127.0.0.1:4455\"\npassword_file = \"open.key\"",
        &[
            "47:17: warning: panel.obs_websocket.password_file: /etc/regia/open.key is open to others (mode 0644); chmod 600 /etc/regia/open.key",
        ],
    );
    says(
        "listen = \"127.0.0.1:4455\"\npassword_flie = \"stream.key\"",
        &[
            "45:1: warning: panel.obs_websocket.password_file: without a password, whatever runs on this machine can take scenes and end the broadcast; name a file of mode 0600 that holds one: password_file = \"/etc/regia/obs.password\"",
            "47:1: panel.obs_websocket.password_flie: unknown key; did you mean \"password_file\"?",
        ],
    );
    super::says(
        panel,
        "listen = \"127.0.0.1:8080\"\ntls = false\n[panel.obs_websocket]\nlisten = \"192.0.2.7:4455\"\npassword_file = \"stream.key\"",
        &[
            "47:10: panel.obs_websocket.listen: with panel.tls = false everything would cross the network in the clear at 192.0.2.7; take tls = false away, or listen on 127.0.0.1",
        ],
    );
}

#[test]
fn other_desks_are_encrypted_where_the_network_sees_them() {
    let tls = |lines: &str| {
        let text = GOOD.replace("listen = \"127.0.0.1:8080\"", &desks(lines));
        loaded(&text).settings.panel.obs_websocket.unwrap().tls
    };
    let with = |listen: &str| format!("listen = {listen:?}\npassword_file = \"stream.key\"");
    assert_eq!(tls(&with("127.0.0.1:4455")), PanelTls::Off);
    assert_eq!(tls(&with("[::1]:4455")), PanelTls::Off);
    assert_eq!(tls(&with("0.0.0.0:4455")), PanelTls::Own);
    assert_eq!(
        loaded(GOOD).settings.panel.obs_websocket,
        None,
        "off by default"
    );
}
