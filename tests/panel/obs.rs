//! Others' desks: obs-websocket 5 as the `obws` crate speaks it, and as nobody should.

use crate::PATIENCE;
use crate::rig::{Ingest, Panel, alone};
use futures_util::StreamExt;
use obws::Client;
use obws::client::ConnectConfig;
use obws::events::{Event, EventStream, OutputState};
use obws::requests::EventSubscription;
use obws::requests::inputs::{InputId, Volume};
use obws::requests::scenes::SceneId;
use obws::requests::sources::SourceId;
use regia_testkit::ports;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

const PASSWORD: &str = "a desk of another maker";
const SCENES: &str = "\n[[source]]\nid = \"cam\"\nkind = \"test\"\n\
    [[scene]]\nid = \"wide\"\nlayers = [{ source = \"main\" }]\n\
    [[scene]]\nid = \"near\"\nlayers = [{ source = \"cam\" }]\n";

/// A daemon that serves other desks, and what their password stands in.
struct Desks {
    panel: Panel,
    addr: SocketAddr,
    files: TempDir,
}

impl Desks {
    /// `more`: what stands behind the scenes.
    #[track_caller]
    fn start(more: &str) -> Self {
        Desks::listening("127.0.0.1:0", true, more)
    }

    #[track_caller]
    fn listening(listen: &str, password: bool, more: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("obs.password");
        std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let recordings = files.path().join("recordings");
        std::fs::create_dir(&recordings).unwrap();
        let more = more.replace("RECORDINGS", recordings.to_str().unwrap());
        let password = if password {
            format!("password_file = {:?}\n", file.display().to_string())
        } else {
            String::new()
        };
        let config = format!(
            "{SCENES}{more}\n[panel]\nlisten = \"127.0.0.1:0\"\n[panel.obs_websocket]\nlisten = {listen:?}\n{password}"
        );
        let mut panel = Panel::start(&config);
        let line = panel
            .regia
            .process
            .wait_line("obs-websocket is there", PATIENCE)
            .text;
        let secure = line.contains("url=wss://");
        assert_eq!(secure, !listen.starts_with("127."), "{line}");
        let port = line.trim_end().rsplit(':').next().unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        let mut desks = Desks {
            addr: SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())),
            panel,
            files,
        };
        desks
            .panel
            .regia
            .wait_status("a picture", PATIENCE, |status| {
                status["state"] == "STANDBY" && !status["mix"].is_null()
            });
        desks
    }

    async fn connect(&self, password: Option<&str>) -> Result<Client, obws::error::Error> {
        let events = EventSubscription::ALL
            | EventSubscription::INPUT_ACTIVE_STATE_CHANGED
            | EventSubscription::INPUT_SHOW_STATE_CHANGED;
        Client::connect_with_config(ConnectConfig {
            host: "127.0.0.1",
            port: self.addr.port(),
            dangerous: None,
            password,
            event_subscriptions: Some(events),
            broadcast_capacity: 1_000,
            connect_timeout: PATIENCE,
        })
        .await
    }

    /// The newest log lines, each with who did it.
    fn log(&self) -> Vec<String> {
        let entries = self.panel.admin.get("/api/v1/log").json();
        let line = |entry: &Value| format!("{}: {}", entry["who"], entry);
        entries.as_array().unwrap().iter().map(line).collect()
    }

    fn raw(&self) -> WebSocket<TcpStream> {
        self.socket(&[]).expect("the socket opens")
    }

    fn socket(&self, headers: &[(&'static str, &str)]) -> Result<WebSocket<TcpStream>, u16> {
        let mut request = format!("ws://{}/", self.addr)
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer))) => {
                Err(answer.status().as_u16())
            }
            // What was asked for, and not agreed to: tungstenite itself turns away.
            Err(_) => Err(0),
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

async fn event<T>(events: &mut EventStream, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        while let Some(event) = events.next().await {
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
        panic!("the connection ended before {what}");
    });
    found.await.unwrap_or_else(|_| panic!("never saw {what}"))
}

/// "Api" errors as their number's name and their text.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, obws::error::Error>) -> (String, String) {
    match result {
        Err(obws::error::Error::Api { code, message }) => {
            (format!("{code:?}"), message.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_knows_the_password_takes_scenes_and_turns_sound() {
    let desks = Desks::start("");
    runtime().block_on(async {
        for wrong in [Some("a desk of another makes"), None] {
            let failed = desks.connect(wrong).await.err().expect("it is refused");
            assert!(
                matches!(failed, obws::error::Error::Handshake(_)),
                "{failed:?}"
            );
        }
        let obs = desks.connect(Some(PASSWORD)).await.unwrap();
        let mut events = std::pin::pin!(obs.events().unwrap());
        let events = events.as_mut().get_mut();

        let version = obs.general().version().await.unwrap();
        assert!(version.platform_description.starts_with("Regia "));
        let stats = obs.general().stats().await.unwrap();
        assert!(
            stats.memory_usage > 5.0 && stats.available_disk_space > 0.0,
            "{stats:?}"
        );
        assert_eq!(stats.active_fps, 30.0);

        let list = obs.scenes().list().await.unwrap();
        let names: Vec<&str> = list
            .scenes
            .iter()
            .map(|scene| scene.id.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["near", "wide"],
            "OBS's first is the lowest of its list"
        );
        assert_eq!(list.current_program_scene.unwrap().name, "wide");
        assert!(obs.ui().studio_mode_enabled().await.unwrap());
        let (code, _) = refused(obs.ui().set_studio_mode_enabled(false).await);
        assert_eq!(code, "CannotAct");

        // Preview, then take what is in it.
        obs.scenes()
            .set_current_preview_scene("near")
            .await
            .unwrap();
        let shown = event(events, "the preview", |event| match event {
            Event::CurrentPreviewSceneChanged { id } => Some(id.name.clone()),
            _ => None,
        })
        .await;
        assert_eq!(shown, "near");
        event(events, "the preview's tally", |event| match event {
            Event::InputShowStateChanged { id, showing: true } if id.name == "cam" => Some(()),
            _ => None,
        })
        .await;
        assert_eq!(
            obs.scenes().current_preview_scene().await.unwrap().id.name,
            "near"
        );
        obs.transitions().set_current("Fade").await.unwrap();
        obs.transitions()
            .set_current_duration(obws_ms(400))
            .await
            .unwrap();
        let current = obs.transitions().current().await.unwrap();
        assert_eq!(
            (current.id.name.as_str(), current.duration),
            ("Fade", Some(obws_ms(400)))
        );
        obs.transitions().trigger().await.unwrap();
        let taken = event(events, "the take", |event| match event {
            Event::CurrentProgramSceneChanged { id } => Some(id.clone()),
            _ => None,
        })
        .await;
        assert_eq!(taken.name, "near");
        event(events, "the tally", |event| match event {
            Event::InputActiveStateChanged { id, active: true } if id.name == "cam" => Some(()),
            _ => None,
        })
        .await;
        event(events, "the fade's end", |event| match event {
            Event::SceneTransitionEnded { id } if id.name == "Fade" => Some(()),
            _ => None,
        })
        .await;
        event(events, "the other tally", |event| match event {
            Event::InputActiveStateChanged { id, active: false } if id.name == "main" => Some(()),
            _ => None,
        })
        .await;
        let cam = obs.sources().active(SourceId::Name("cam")).await.unwrap();
        assert!(cam.active && cam.showing);
        assert_eq!(desks.panel.regia.status().unwrap()["scene"], "near");

        // Straight to another scene, by its UUID.
        let wide = list.scenes[1].id.uuid;
        obs.scenes()
            .set_current_program_scene(SceneId::Uuid(wide))
            .await
            .unwrap();
        assert_eq!(
            obs.scenes().current_program_scene().await.unwrap().id.name,
            "wide"
        );
        let (code, text) = refused(obs.scenes().set_current_program_scene("far").await);
        assert_eq!(code, "ResourceNotFound");
        assert_eq!(text, "There is no scene \"far\"; there are wide, near.");

        // Sound.
        let main = InputId::Name("main");
        assert_eq!(obs.inputs().list(None).await.unwrap().len(), 2);
        assert!(!obs.inputs().muted(main).await.unwrap());
        assert!(obs.inputs().toggle_mute(main).await.unwrap());
        let muted = event(events, "the mute", |event| match event {
            Event::InputMuteStateChanged { id, muted } => Some((id.name.clone(), *muted)),
            _ => None,
        })
        .await;
        assert_eq!(muted, ("main".to_owned(), true));
        assert!(obs.inputs().muted(main).await.unwrap());
        obs.inputs()
            .set_volume(main, Volume::Db(-12.0))
            .await
            .unwrap();
        event(events, "the volume", |event| match event {
            Event::InputVolumeChanged { db, .. } if (*db + 12.0).abs() < 0.01 => Some(()),
            _ => None,
        })
        .await;
        assert!((obs.inputs().volume(main).await.unwrap().mul - 0.251).abs() < 0.001);
        let (code, _) = refused(obs.inputs().set_volume(main, Volume::Db(26.0)).await);
        assert_eq!(code, "RequestFieldOutOfRange");

        let items = obs.scene_items().list(SceneId::Name("wide")).await.unwrap();
        assert_eq!(items[0].source_name, "main");
        let (code, _) = refused(obs.profiles().list().await);
        assert_eq!(code, "UnknownRequestType");
        obs.reidentify(EventSubscription::NONE).await.unwrap();
    });
    let log = desks.log();
    for what in ["scene_taken", "audio_changed"] {
        let who = log
            .iter()
            .any(|line| line.contains(what) && line.contains("obs-websocket 127.0.0.1"));
        assert!(who, "{what}: {log:#?}");
    }
    // Nobody prints it.
    assert!(!desks.panel.regia.process.text().contains(PASSWORD));
}

fn obws_ms(ms: i64) -> time::Duration {
    time::Duration::milliseconds(ms)
}

#[test]
fn a_recording_goes_on_while_the_configuration_is_changed() {
    let _alone = alone();
    let more =
        "[[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\nauto = false\n";
    let mut desks = Desks::start(more);
    let (runtime, engine) = (runtime(), desks.panel.regia.status().unwrap());
    let obs = runtime.block_on(desks.connect(Some(PASSWORD))).unwrap();
    runtime.block_on(obs.recording().start()).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    // Another engine is needed for that.
    let louder = json!({"kind": "test", "audio": {"gain_db": -3.0}});
    let put = desks
        .panel
        .admin
        .send("PUT", "/api/v1/config/source/cam", Some(louder));
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.json()["applies"], "after the broadcast");
    let size = |file: &str| {
        let path = desks.files.path().join("recordings").join(file);
        path.metadata().unwrap().len()
    };
    let files = std::fs::read_dir(desks.files.path().join("recordings")).unwrap();
    let file = files.map(|file| file.unwrap().file_name()).next().unwrap();
    let before = size(file.to_str().unwrap());
    std::thread::sleep(Duration::from_secs(3));
    assert!(size(file.to_str().unwrap()) > before);
    let stopped = runtime.block_on(obs.recording().stop()).unwrap();
    assert_eq!(stopped, file.to_str().unwrap());
    desks
        .panel
        .regia
        .wait_status("the new configuration", PATIENCE, |status| {
            status["notices"].as_array().is_some_and(Vec::is_empty)
                && status["engine_pid"] != engine["engine_pid"]
        });
}

#[test]
fn a_broadcast_begins_and_ends_the_same_way_as_by_the_panel() {
    let _alone = alone();
    let ingest = Ingest::start();
    let more = format!(
        "{}[[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\nauto = false\n",
        ingest.destination("show")
    );
    let desks = Desks::start(&more);
    runtime().block_on(async {
        let obs = desks.connect(Some(PASSWORD)).await.unwrap();
        let mut events = std::pin::pin!(obs.events().unwrap());
        let events = events.as_mut().get_mut();
        assert!(!obs.streaming().status().await.unwrap().active);
        let (code, _) = refused(obs.streaming().stop().await);
        assert_eq!(code, "OutputNotRunning");
        let began = Instant::now();
        let streaming = obs.streaming();
        let started = streaming.start();
        // While pre-flight measures, other requests are answered.
        let meanwhile = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let asked = Instant::now();
            obs.scenes()
                .set_current_program_scene("near")
                .await
                .unwrap();
            (asked.elapsed(), began.elapsed())
        };
        let (started, (took, _)) = tokio::join!(started, meanwhile);
        eprintln!(
            "a start took {:?}, a take meanwhile {took:?}",
            began.elapsed()
        );
        started.unwrap();
        event(events, "the start", |event| match event {
            Event::StreamStateChanged {
                active: true,
                state: OutputState::Started,
            } => Some(()),
            _ => None,
        })
        .await;
        let (code, _) = refused(obs.streaming().start().await);
        assert_eq!(code, "OutputRunning");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let status = obs.streaming().status().await.unwrap();
        assert!(status.active && !status.reconnecting, "{status:?}");
        assert!(
            status.duration > obws_ms(500) && status.total_frames > 10,
            "{status:?}"
        );

        obs.recording().start().await.unwrap();
        event(events, "the recording", |event| match event {
            Event::RecordStateChanged {
                active: true,
                state: OutputState::Started,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
        assert!(obs.recording().status().await.unwrap().active);
        // A keyframe each two seconds begins it.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let file = obs.recording().stop().await.unwrap();
        event(events, "the recording's end", |event| match event {
            Event::RecordStateChanged {
                active: false,
                state: OutputState::Stopped,
                ..
            } => Some(()),
            _ => None,
        })
        .await;
        let kept = desks.files.path().join("recordings").join(&file);
        assert!(kept.metadata().unwrap().len() > 0, "{file}");

        assert!(!obs.streaming().toggle().await.unwrap());
        event(events, "the stop", |event| match event {
            Event::StreamStateChanged {
                active: false,
                state: OutputState::Stopped,
            } => Some(()),
            _ => None,
        })
        .await;
        assert!(!obs.streaming().status().await.unwrap().active);
    });
    let log = desks.log();
    for what in ["started", "stop_asked", "recording_on", "recording_off"] {
        let word = format!("\"event\":\"{what}\"");
        let who = log
            .iter()
            .any(|line| line.contains(&word) && line.contains("obs-websocket 127.0.0.1"));
        assert!(who, "{what}: {log:#?}");
    }
}

#[test]
fn what_the_panel_refuses_is_refused_with_its_reason() {
    let _alone = alone();
    let ingest = Ingest::start();
    let closes = format!(
        "{}[destination.rules]\nevent_closes = true\n",
        ingest.destination("show")
    );
    let mut desks = Desks::start(&closes);
    crate::rig::go_live(&mut desks.panel);
    runtime().block_on(async {
        let obs = desks.connect(Some(PASSWORD)).await.unwrap();
        let (code, text) = refused(obs.streaming().stop().await);
        assert_eq!(code, "CannotAct", "{text}");
        assert!(text.contains("repeat its name"), "{text}");
        assert!(text.contains("in the panel"), "{text}");
        assert!(obs.streaming().status().await.unwrap().active, "it goes on");
    });
    drop(desks);

    let dead = ports::loopback();
    let dead = format!(
        "\n[[destination]]\nid = \"show\"\nserver = \"rtmp://{dead}/live\"\nkey = \"a-key-of-show\"\n"
    );
    let desks = Desks::start(&dead);
    runtime().block_on(async {
        let obs = desks.connect(Some(PASSWORD)).await.unwrap();
        let (code, text) = refused(obs.streaming().start().await);
        assert_eq!(code, "ResourceActionFailed", "{text}");
        assert!(text.starts_with("pre-flight found"), "{text}");
        assert!(text.contains("show"), "{text}");
        let (code, text) = refused(obs.recording().start().await);
        assert_eq!(
            (code.as_str(), text.as_str()),
            (
                "OutputDisabled",
                "The configuration has no [[recording]]: add one in the panel."
            )
        );
    });
}

/// The next text, as JSON.
#[track_caller]
fn next(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        match socket.read().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(close) => panic!("{close:?}"),
            _ => {}
        }
    }
}

/// What the socket is closed with.
#[track_caller]
fn closed(socket: &mut WebSocket<TcpStream>) -> (u16, String) {
    loop {
        match socket.read() {
            Ok(Message::Close(Some(frame))) => {
                return (frame.code.into(), frame.reason.to_string());
            }
            Ok(Message::Close(None)) => panic!("no code"),
            Ok(_) => {}
            Err(error) => panic!("no close frame: {error}"),
        }
    }
}

fn proof(hello: &Value, password: &str) -> String {
    use base64::Engine as _;
    let hash = |text: String| {
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        base64::engine::general_purpose::STANDARD.encode(hash)
    };
    let part = |name: &str| {
        hello["d"]["authentication"][name]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let secret = hash(format!("{password}{}", part("salt")));
    hash(format!("{secret}{}", part("challenge")))
}

/// One that has said who it is.
#[track_caller]
fn identified(desks: &Desks) -> WebSocket<TcpStream> {
    let mut socket = desks.raw();
    let hello = next(&mut socket);
    let identify =
        json!({"op": 1, "d": {"rpcVersion": 1, "authentication": proof(&hello, PASSWORD)}});
    socket.send(identify.to_string().into()).unwrap();
    assert_eq!(
        next(&mut socket),
        json!({"op": 2, "d": {"negotiatedRpcVersion": 1}})
    );
    socket
}

#[test]
fn what_is_no_protocol_is_closed_with_its_code() {
    let desks = Desks::start("");
    for (text, code) in [
        ("nonsense", 4002),
        ("{}", 4006),
        (
            r#"{"op":6,"d":{"requestType":"GetStats","requestId":"1"}}"#,
            4007,
        ),
        (r#"{"op":1,"d":7}"#, 4004),
        (r#"{"op":1}"#, 4003),
    ] {
        let mut socket = desks.raw();
        assert_eq!(next(&mut socket)["op"], 0);
        socket.send(text.into()).unwrap();
        assert_eq!(closed(&mut socket).0, code, "{text}");
    }
    let mut socket = desks.raw();
    let hello = next(&mut socket);
    let old = json!({"op": 1, "d": {"rpcVersion": 2, "authentication": proof(&hello, PASSWORD)}});
    socket.send(old.to_string().into()).unwrap();
    assert_eq!(
        closed(&mut socket),
        (4010, "rpcVersion 1 is spoken here.".to_owned())
    );

    for (message, code) in [
        (Message::text(r#"{"op":1,"d":{"rpcVersion":1}}"#), 4008),
        (Message::text(r#"{"op":99,"d":{}}"#), 4006),
        (Message::text("x".repeat(100_000)), 4002),
        (Message::binary(vec![0x82, 0xa2]), 4002),
        (
            Message::text(r#"{"op":6,"d":{"requestType":7,"requestId":"1"}}"#),
            4004,
        ),
        (
            Message::text(r#"{"op":8,"d":{"requestId":"1","requests":[],"executionType":2}}"#),
            4012,
        ),
    ] {
        let mut socket = identified(&desks);
        // The server may have closed before all of it was taken.
        let _ = socket.send(message.clone());
        assert_eq!(closed(&mut socket).0, code, "{message:.60}");
    }
    // Only msgpack.
    if let Ok(mut socket) = desks.socket(&[("sec-websocket-protocol", "obswebsocket.msgpack")]) {
        assert_eq!(closed(&mut socket).0, 4002);
    }
    let both = "obswebsocket.msgpack, obswebsocket.json";
    let mut json_too = desks.socket(&[("sec-websocket-protocol", both)]).unwrap();
    assert_eq!(next(&mut json_too)["op"], 0);

    // A batch, one after the other.
    let mut socket = identified(&desks);
    let request = |kind: &str, data: Value| json!({"requestType": kind, "requestId": kind, "requestData": data});
    let batch = json!({"op": 8, "d": {"requestId": "b", "haltOnFailure": true, "requests": [
        request("SetCurrentPreviewScene", json!({"sceneName": "near"})),
        request("GetCurrentPreviewScene", json!({})),
        {"requestId": "nothing"},
        request("GetStats", json!({})),
    ]}});
    socket.send(batch.to_string().into()).unwrap();
    let answer = loop {
        let message = next(&mut socket);
        if message["op"] == 9 {
            break message["d"].clone();
        }
    };
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 3, "halted: {results:#?}");
    assert_eq!(results[1]["responseData"]["sceneName"], "near");
    assert_eq!(results[2]["requestStatus"]["code"], 203);
    // All of that cost nobody anything.
    assert_eq!(desks.panel.admin.get("/api/v1/status").status, 200);
    drop(socket);
    guesses_wait(&desks);
}

/// Last, because it keeps this address out.
fn guesses_wait(desks: &Desks) {
    let guess = |password: &str| {
        let mut socket = desks.raw();
        let hello = next(&mut socket);
        let given = proof(&hello, password);
        let identify = json!({"op": 1, "d": {"rpcVersion": 1, "authentication": given}});
        socket.send(identify.to_string().into()).unwrap();
        closed(&mut socket)
    };
    let all: Vec<_> = (0..8).map(|n| guess(&format!("guess {n}"))).collect();
    assert!(all.iter().all(|(code, _)| *code == 4009), "{all:?}");
    assert_eq!(all[0].1, "The password is another.");
    assert!(
        all.iter()
            .any(|(_, reason)| reason.starts_with("Too many wrong passwords")),
        "{all:?}"
    );
}

#[test]
fn whoever_reads_nothing_is_let_go() {
    let desks = Desks::start("");
    let mut socket = identified(&desks);
    let stream = socket.get_mut();
    stream.set_nonblocking(true).unwrap();
    let began = Instant::now();
    let ask =
        Message::text(r#"{"op":6,"d":{"requestType":"GetSceneTransitionList","requestId":"1"}}"#);
    let ended = loop {
        match socket.send(ask.clone()) {
            Ok(()) => {}
            Err(tungstenite::Error::Io(error))
                if error.kind() == std::io::ErrorKind::WouldBlock =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            // Both buffers are full.
            Err(tungstenite::Error::WriteBufferFull(_)) => {
                std::thread::sleep(Duration::from_millis(50))
            }
            Err(error) => break error,
        }
        assert!(began.elapsed() < PATIENCE, "it is still there");
    };
    eprintln!("let go after {:?}: {ended}", began.elapsed());
    assert!(began.elapsed() > Duration::from_secs(3));
}

#[test]
fn without_a_password_no_web_page_gets_in() {
    let desks = Desks::listening("127.0.0.1:0", false, "");
    let foreign = desks.socket(&[("origin", "https://elsewhere.example")]);
    assert_eq!(foreign.err(), Some(403));
    let mut socket = desks.raw();
    let hello = next(&mut socket);
    assert!(hello["d"].get("authentication").is_none(), "{hello}");
    runtime().block_on(async {
        let obs = desks.connect(None).await.unwrap();
        assert_eq!(obs.scenes().list().await.unwrap().scenes.len(), 2);
    });
    let mut plain = TcpStream::connect(desks.addr).unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    plain.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 426"), "{text}");
}

#[test]
fn off_loopback_it_is_encrypted_with_the_panels_certificate() {
    let desks = Desks::listening("0.0.0.0:0", true, "");
    let cert = std::fs::read(desks.panel.regia.state_dir().join("panel-cert.pem")).unwrap();
    use rustls::pki_types::pem::PemObject;
    let cert = rustls::pki_types::CertificateDer::from_pem_slice(&cert).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(desks.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let stream = rustls::StreamOwned::new(tls, stream);
    let (mut socket, _) = tungstenite::client("ws://localhost/", stream).unwrap();
    let Message::Text(hello) = socket.read().unwrap() else {
        panic!();
    };
    let hello: Value = serde_json::from_str(&hello).unwrap();
    let identify =
        json!({"op": 1, "d": {"rpcVersion": 1, "authentication": proof(&hello, PASSWORD)}});
    socket.send(identify.to_string().into()).unwrap();
    let Message::Text(text) = socket.read().unwrap() else {
        panic!();
    };
    assert!(text.contains("negotiatedRpcVersion"), "{text}");
    // In the clear there is nothing.
    let mut plain = TcpStream::connect(desks.addr).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_regia_that_ends_says_so() {
    let mut desks = Desks::start("");
    let mut socket = identified(&desks);
    desks.panel.regia.process.terminate(PATIENCE);
    // What was sent before the end lies there.
    let kind = loop {
        let message = next(&mut socket);
        if message["d"]["eventType"] == "ExitStarted" {
            break message["d"]["eventType"].clone();
        }
    };
    assert_eq!(kind, "ExitStarted");
}
