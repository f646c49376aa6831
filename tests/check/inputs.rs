//! What the reader says of keys and types, of the programme, the window, sources and scenes.

use crate::machine::Machine;
use crate::{GOOD, lines, loaded, says};
use regia::config::Loaded;

#[test]
fn keys_and_types() {
    says(
        "width = 1280",
        "widht = 1280",
        &["2:1: programme.widht: unknown key; did you mean \"width\"?"],
    );
    says(
        "hold_s = 30",
        "colour = 1",
        &["12:1: window.colour: unknown key; known here: hold_s, delay_s, catch_up"],
    );
    says(
        "[window]",
        "[widnow]",
        &["11:2: widnow: unknown key; did you mean \"window\"?"],
    );
    says(
        "width = 1280",
        "width = \"1280\"",
        &["2:9: programme.width: must be a whole number from 128 to 7680 pixels, not a string"],
    );
    says(
        "width = 1280",
        "width = 0",
        &["2:9: programme.width: must be a whole number from 128 to 7680 pixels, not 0"],
    );
    says(
        "height = 720",
        "height = 721",
        &["3:10: programme.height: must be even, not 721; 720 or 722"],
    );
    says(
        "id = \"stage\"",
        "id = [1]",
        &[
            "15:6: source[1].id: must be a string, not a list; for example id = \"main\"",
            "21:22: scene \"wide\".layers[1].source: there is no source \"stage\"; add [[source]] with id = \"stage\"",
        ],
    );
    says(
        "[[destination]]",
        "[destination]",
        &[
            "31:1: destination: stands in single brackets, but there may be several; write [[destination]]",
        ],
    );
    says(
        "[panel]",
        "[[panel]]",
        &["43:1: panel: stands in double brackets, but there is only one panel; write [panel]"],
    );
    says(
        "uplinks = [\"fibre\", \"lte\"]",
        "uplinks = \"fibre\"",
        &[
            "36:11: destination \"show\".uplinks: must be a list of strings, not a string; for example uplinks = [\"fibre\"]",
        ],
    );
    says(
        "hold_s = 30",
        "hold_s = \"30 beats\"",
        &[
            "12:10: window.hold_s: must be a number of seconds or a string with a unit (ms, s, m, h), not \"30 beats\"; for example hold_s = 30 or hold_s = \"1500ms\"",
        ],
    );
}

#[test]
fn what_is_not_toml() {
    says(
        "fps = 30",
        "fps = ",
        &["4:7: not TOML: string values must be quoted, expected literal string"],
    );
    // What is on other lines is told all the same, what may only be hidden by the broken line is not.
    let text = GOOD
        .replace("id = \"stage\"", "id = \"stage")
        .replace("hold_s", "holds");
    assert_eq!(
        lines(&text, &Machine::venue()),
        [
            "12:1: window.holds: unknown key; did you mean \"hold_s\"?",
            "15:12: not TOML: invalid basic string, expected `\"`",
        ]
    );
}

#[test]
fn programme_and_window() {
    says(
        "fps = 30",
        "fps = \"30/0\"",
        &[
            "4:7: programme.fps: must be frames per second from 1 to 120 as a number or a fraction, not \"30/0\"; for example 30 or \"30000/1001\"",
        ],
    );
    says(
        "keyframe_s = 2",
        "keyframe_s = 2.01",
        &[
            "9:14: programme.video.keyframe_s: 2.01 s at 30 frames per second is 60.3 frames, which is not a whole number; 2 would be 60 frames",
        ],
    );
    says(
        "fps = 30",
        "fps = \"30000/1001\"",
        &[
            "9:14: programme.video.keyframe_s: 2 s at 30000/1001 frames per second is 59.94 frames, which is not a whole number; 2.002 would be 60 frames",
        ],
    );
    says(
        "min_bitrate_kbps = 2000",
        "min_bitrate_kbps = 4000",
        &[
            "8:20: programme.video.min_bitrate_kbps: the floor of 4000 kb/s is over bitrate_kbps, 3000 kb/s; lower the one or raise the other",
        ],
    );
    says(
        "hold_s = 30",
        "hold_s = \"12h\"",
        &[
            "12:10: window.hold_s: 43200 s of 3128 kb/s are 16891200000 bytes, and of this machine's 8000000000 bytes of memory half may be used; at most 10230",
        ],
    );
    says(
        "hold_s = 30",
        "hold_s = 1",
        &[
            "12:10: window.hold_s: 1 s is shorter than a GOP of 2 s, and only whole GOPs are shed; 30 rides out most outages of an uplink",
        ],
    );
    for (delay, said) in [("61", "61"), ("-1", "-1"), ("\"2m\"", "120")] {
        says(
            "hold_s = 30",
            &format!("delay_s = {delay}"),
            &[&format!(
                "12:11: window.delay_s: must be from 0 to 60 s, not {said} s"
            )],
        );
    }
    for speed in ["1", "0.5", "11"] {
        says(
            "hold_s = 30",
            &format!("catch_up = {speed}"),
            &[&format!(
                "12:12: window.catch_up: must be over 1 and at most 10, not {speed}; it is the sending speed after an outage: at 1 the latency never returns"
            )],
        );
    }
    says(
        "[programme.video]",
        "[programme.audio]\nsample_rate = 22050\n[programme.video]",
        &[
            "7:15: programme.audio.sample_rate: must be 48000 or 44100 Hz, not 22050; every platform takes 48000",
        ],
    );
    says(
        "[programme.video]",
        "[programme.video]\nencoder = \"nvec\"",
        &[
            "7:11: programme.video.encoder: \"nvec\" is not one of auto, x264, openh264, nvenc, vaapi, qsv, v4l2; did you mean \"nvenc\"?",
        ],
    );
}

#[test]
fn keyframes_follow_a_fractional_rate() {
    let text = GOOD
        .replace("fps = 30", "fps = \"30000/1001\"")
        .replace("keyframe_s = 2\n", "");
    let settings = loaded(&text).settings;
    assert!((settings.programme.video.keyframe_s - 2.002).abs() < 1e-9);
}

#[test]
fn sources_and_scenes() {
    says(
        "/dev/video0",
        "/dev/video9",
        &[
            "17:10: source \"stage\".device: there is no device /dev/video9; this machine has /dev/video0, /dev/video1",
        ],
    );
    says(
        "kind = \"v4l2\"\ndevice = \"/dev/video0\"",
        "kind = \"file\"\npath = \"none.mp4\"",
        &[
            "17:8: source \"stage\".path: /etc/regia/none.mp4 does not exist; a relative path starts at the configuration's directory",
        ],
    );
    says(
        "kind = \"v4l2\"\ndevice = \"/dev/video0\"",
        "kind = \"image\"\npath = \"recordings\"",
        &["17:8: source \"stage\".path: /etc/regia/recordings is not a file"],
    );
    says(
        "kind = \"v4l2\"",
        "kind = \"v4l2\"\nslate = \"none.png\"",
        &[
            "17:9: source \"stage\".slate: /etc/regia/none.png does not exist; a relative path starts at the configuration's directory",
        ],
    );
    says(
        "kind = \"v4l2\"",
        "kind = \"ndi\"",
        &[
            "16:8: source \"stage\".kind: \"ndi\" is not one of test, file, image, v4l2, alsa, pulse, pipewire, rtsp, srt, rtmp, screen, decklink, html",
        ],
    );
    says(
        "kind = \"v4l2\"\ndevice = \"/dev/video0\"",
        "kind = \"rtsp\"\nurl = \"http://admin:Xq7vT2mNzR4w@cam/1\"",
        &[
            "17:7: source \"stage\".url: has a scheme that is not one of rtsp, rtsps, rtspt, rtspu; for example \"rtsp://camera.local/stream1\"",
        ],
    );
    says(
        "kind = \"v4l2\"",
        "",
        &[
            "14:1: source \"stage\".kind: is missing; one of test, file, image, v4l2, alsa, pulse, pipewire, rtsp, srt, rtmp, screen, decklink, html",
        ],
    );
    says(
        "layers = [{ source = \"stage\" }]",
        "layers = [{ source = \"stagr\" }]",
        &[
            "14:1: warning: source \"stage\": no scene shows it",
            "21:22: scene \"wide\".layers[1].source: there is no source \"stagr\"; did you mean \"stage\"?",
        ],
    );
    says(
        "layers = [{ source = \"stage\" }]",
        "layers = [{ }]",
        &[
            "14:1: warning: source \"stage\": no scene shows it",
            "21:11: scene \"wide\".layers[1].source: is missing; the scene names no source; give the id of one",
        ],
    );
    says(
        "layers = [{ source = \"stage\" }]",
        "layers = []",
        &[
            "14:1: warning: source \"stage\": no scene shows it",
            "21:10: scene \"wide\".layers: has no layer: the scene names no source; for example layers = [{ source = \"stage\" }]",
        ],
    );
    says(
        "[[scene]]\nid = \"wide\"\nlayers = [{ source = \"stage\" }]",
        "[[source]]\nid = \"bars\"\nkind = \"test\"",
        &[
            "1:1: scene: is missing: there are several sources, and nothing says which is shown; for example [[scene]] with id = \"main\" and layers = [{ source = \"stage\" }]",
        ],
    );
}

#[test]
fn one_source_needs_no_scene() {
    let text = GOOD.replace(
        "[[scene]]\nid = \"wide\"\nlayers = [{ source = \"stage\" }]\n",
        "",
    );
    let Loaded { settings, warnings } = loaded(&text);
    assert!(warnings.is_empty());
    assert_eq!(settings.scenes.len(), 1);
    assert_eq!(settings.scenes[0].id, "main");
    assert!(settings.scenes[0].shows("stage"));
}

#[test]
fn ids() {
    for (table, line, wanted) in [
        (
            "[[source]]\nid = \"stage\"\nkind = \"test\"\n",
            45,
            "source \"stage\"",
        ),
        (
            "[[scene]]\nid = \"wide\"\nlayers = [{ source = \"stage\" }]\n",
            45,
            "scene \"wide\"",
        ),
        (
            "[[uplink]]\nid = \"lte\"\ninterface = \"lo\"\n",
            45,
            "uplink \"lte\"",
        ),
        (
            "[[destination]]\nid = \"show\"\nserver = \"rtmp://h/live\"\nkey = \"other\"\n",
            45,
            "destination \"show\"",
        ),
        (
            "[[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"recordings\"\n",
            45,
            "recording \"master\"",
        ),
    ] {
        let said = lines(&format!("{GOOD}{table}"), &Machine::venue());
        let id = wanted.split('"').nth(1).unwrap();
        let first = GOOD
            .lines()
            .position(|text| text == format!("id = \"{id}\""))
            .unwrap()
            + 1;
        let expected = format!(
            "{}:6: {wanted}.id: \"{id}\" is used already, on line {first}; take another",
            line + 1
        );
        assert!(said.contains(&expected), "{expected}\n{said:#?}");
    }
    says(
        "id = \"show\"",
        "",
        &["31:1: destination[1].id: is missing; for example id = \"main\""],
    );
    says(
        "id = \"master\"",
        "id = \"../master\"",
        &[
            "39:6: recording \"../master\".id: an id is up to 40 letters (a to z), digits, - and _, and starts with a letter or digit",
        ],
    );
}

/// What is said when the camera of `GOOD` is replaced by these lines.
#[track_caller]
fn source_says(lines: &str, expected: &[&str]) {
    says("kind = \"v4l2\"\ndevice = \"/dev/video0\"", lines, expected);
}

#[test]
fn sources_of_sound_servers() {
    source_says("kind = \"pulse\"", &[]);
    source_says("kind = \"pipewire\"\ntarget = \"alsa_input.usb\"", &[]);
    source_says(
        "kind = \"pulse\"\ndevice = \" \"",
        &["17:10: source \"stage\".device: is empty; pactl list short sources lists them"],
    );
    source_says(
        "kind = \"pipewire\"\ndevice = \"x\"",
        &["17:1: source \"stage\".device: unknown key; known here: id, kind, target, slate, audio"],
    );
}

#[test]
fn srt_sources() {
    source_says(
        "kind = \"srt\"\nurl = \"srt://encoder.local:9000?streamid=stage\"\nlatency_ms = 200",
        &[],
    );
    source_says(
        "kind = \"srt\"\nurl = \"srt://:9000\"\nmode = \"listener\"",
        &[],
    );
    for (url, what) in [
        (
            "http://h:9000",
            "has a scheme that is not srt; for example \"srt://encoder.local:9000\"",
        ),
        (
            "srt://encoder.local",
            "names no port, and SRT has none of its own; for example \"srt://encoder.local:9000\"",
        ),
        (
            "srt://:9000",
            "names no host; name the machine to call, or write mode = \"listener\"",
        ),
        (
            "srt://h:9000?passphrase=Xq7vT2mNzR4w",
            "has a passphrase in it; write it into a file of mode 0600 and name that with passphrase_file",
        ),
        (
            "srt://h:9000?mode=caller",
            "has mode in it; write mode and latency_ms as keys of the source",
        ),
        (
            "srt://h:9000?colour=1",
            "has \"colour\" in it, which Regia does not know; leave it away",
        ),
    ] {
        source_says(
            &format!("kind = \"srt\"\nurl = {url:?}"),
            &[&format!("17:7: source \"stage\".url: {what}")],
        );
    }
    source_says(
        "kind = \"srt\"\nurl = \"srt://h:9000\"\npassphrase_file = \"stream.key\"",
        &[],
    );
    source_says(
        "kind = \"srt\"\nurl = \"srt://h:9000\"\npassphrase_file = \"open.key\"",
        &[
            "18:19: warning: source \"stage\".passphrase_file: /etc/regia/open.key is open to others (mode 0644); chmod 600 /etc/regia/open.key",
        ],
    );
    source_says(
        "kind = \"srt\"\nurl = \"srt://h:9000\"\nmode = \"rendezvous\"",
        &["18:8: source \"stage\".mode: \"rendezvous\" is not one of caller, listener"],
    );
}

#[test]
fn rtmp_sources() {
    source_says("kind = \"rtmp\"\nkey_file = \"stream.key\"", &[]);
    source_says(
        "kind = \"rtmp\"",
        &[
            "14:1: source \"stage\".key: is missing: whoever reaches the port would be on air; choose one, and give it to the encoder: key_file, key_secret, key_env or key",
        ],
    );
    source_says(
        "kind = \"rtmp\"\nkey = \"1234\"",
        &[
            "17:7: warning: source \"stage\".key: is short, and whoever guesses it is on air; at least 8 letters and digits",
        ],
    );
    source_says(
        "kind = \"rtmp\"\nkey_file = \"stream.key\"\n[rtmp]\nlisten = \"everywhere\"",
        &[
            "19:10: rtmp.listen: \"everywhere\" is not an address with a port; for example \"0.0.0.0:1935\"",
        ],
    );
    says(
        "[panel]",
        "[rtmp]\nlisten = \"0.0.0.0:1936\"\n[panel]",
        &["43:1: warning: rtmp: nothing is listened to: there is no source of kind \"rtmp\""],
    );
    source_says(
        "kind = \"rtmp\"\nkey_file = \"stream.key\"\n[[source]]\nid = \"phone\"\nkind = \"rtmp\"\nkey_file = \"stream.key\"",
        &[
            "18:1: source \"phone\": has the key of source \"stage\": an encoder would be shown in either; give each its own",
            "18:1: warning: source \"phone\": no scene shows it",
        ],
    );
    let settings = loaded(&GOOD.replace(
        "kind = \"v4l2\"\ndevice = \"/dev/video0\"",
        "kind = \"rtmp\"\nkey_file = \"stream.key\"",
    ))
    .settings;
    let rtmp = settings.rtmp.expect("somebody may push");
    assert_eq!(rtmp.listen.to_string(), "0.0.0.0:1935");
    assert_eq!(rtmp.keys[0].source, "stage");
}

#[test]
fn screens_cards_and_pages() {
    source_says("kind = \"screen\"", &[]);
    source_says(
        "kind = \"screen\"\ndisplay = \"one\"",
        &[
            "17:11: source \"stage\".display: is not an X display; for example \":0\"; echo $DISPLAY says which",
        ],
    );
    source_says("kind = \"decklink\"\ndevice = 1\nmode = \"1080p25\"", &[]);
    source_says(
        "kind = \"decklink\"\ndevice = \"/dev/x\"",
        &["17:10: source \"stage\".device: must be a whole number from 0 to 31, not a string"],
    );
    source_says(
        "kind = \"html\"\nurl = \"https://score.example/o?token=Xq7vT2mNzR4w\"\nwidth = 640\nheight = 360",
        &[],
    );
    source_says("kind = \"html\"\nurl = \"clips/opener.mp4\"", &[]);
    source_says(
        "kind = \"html\"\nurl = \"none.html\"",
        &[
            "17:7: source \"stage\".url: /etc/regia/none.html does not exist; a relative path starts at the configuration's directory",
        ],
    );
    source_says(
        "kind = \"html\"\nurl = \"ftp://h/x\"",
        &[
            "17:7: source \"stage\".url: has a scheme that is not one of http, https, file; for example \"https://score.example/overlay\" or \"overlay.html\"",
        ],
    );
    source_says(
        "kind = \"html\"\nurl = \"https://h/\"\nwidth = 640",
        &["18:9: source \"stage\".width: has no height beside it; give both or neither"],
    );
}
