//! No answer holds a secret: recognisable ones are planted wherever there is one.

use crate::client::next_json;
use crate::rig::Panel;
use serde_json::json;

const PLANTED: [&str; 6] = [
    "plantedkey1Zq7Lm2",
    "plantedpassword2Xw",
    "plantedcamera3Vb5T",
    "plantedquery4Rk8Ty",
    "plantedcomment5Nd9",
    "plantedslot6Pq4Hs7",
];

#[test]
fn no_answer_holds_a_secret() {
    let [key, password, camera, query, comment, slot] = PLANTED;
    let panel = Panel::start(&format!(
        "\n[[source]]\nid = \"balcony\"\nkind = \"rtsp\"\nurl = \"rtsp://admin:{camera}@127.0.0.1:1/stream\"\n\
         [[scene]]\nid = \"wide\"\nlayers = [{{ source = \"main\" }}]\n\
         [[destination]]\nid = \"a\"\nserver = \"rtmp://127.0.0.1:1/live?token={query}\"\nkey = \"{key}\"\n\
         # key = \"{comment}\"\n\
         [[destination]]\nid = \"b\"\nserver = \"rtmp://127.0.0.1:2/live\"\nkey_secret = \"main\"\nuser = \"encoder\"\npassword = \"{password}\"\n"
    ));
    let saved = panel
        .admin
        .send("PUT", "/api/v1/keys/main", Some(json!({"key": slot})));
    assert_eq!(saved.status, 200, "{}", saved.text());
    let script = panel.script("admin");
    let mut secrets: Vec<String> = PLANTED.iter().map(|secret| (*secret).to_owned()).collect();
    secrets.push(script.headers[0].1["Bearer ".len()..].to_owned());
    secrets.push(panel.admin.headers[0].1["regia=".len()..].to_owned());
    secrets.push(crate::rig::PASSWORD.to_owned());
    let silent = |what: &str, text: &str| {
        for secret in &secrets {
            // Not even most of it: a slot shows the last four letters.
            assert!(
                !text.contains(&secret[..secret.len() - 4]),
                "{what} tells {secret}: {text}"
            );
        }
    };
    // On its way to nowhere, so that errors are told, too.
    panel
        .admin
        .post("/api/v1/live/start", json!({"anyway": "x"}));
    let document = panel.stranger().get("/api/v1/openapi.json").json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path
                .replace("{id}", "a")
                .replace("{slot}", "main")
                .replace("{name}", "admin");
            let path = path.replace("{file}", "x.flv");
            if method == "delete" || path.ends_with("/tokens") && method == "post" {
                continue;
            }
            let body = (method != "get").then(|| json!({}));
            // A body that has them, in the wrong place.
            let wrong = json!({"text": key, "key": {"x": password}, "password": [slot], "user": 1});
            for body in [body.clone(), body.map(|_| wrong)] {
                let answer = script.send(&method.to_uppercase(), &path, body);
                silent(&format!("{method} {path}"), &answer.text());
                asked += 1;
            }
        }
    }
    assert!(asked > 80, "{asked}");
    let shown = panel.admin.get("/api/v1/config").json()["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(shown.contains("key = \"••••\""), "{shown}");
    let mut socket = panel.admin.socket("/api/v1/events").unwrap();
    for _ in 0..20 {
        silent("an event", &next_json(&mut socket).to_string());
    }
    silent("the log", &panel.regia.process.text());
}
