//! Every role on every operation that the API describes.

use crate::client::Client;
use crate::rig::Panel;
use regia::panel::{OPERATIONS, Role};
use serde_json::json;

/// Method, path, and path with something in place of its parameters.
fn operations(client: &Client) -> Vec<(String, String, String)> {
    let document = client.get("/api/v1/openapi.json").json();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let parts = path.split('/').map(|part| {
                if part.starts_with('{') {
                    "nothing-of-that-name"
                } else {
                    part
                }
            });
            let asked = parts.collect::<Vec<_>>().join("/");
            all.push((method.to_uppercase(), path.clone(), asked));
        }
    }
    all
}

#[test]
fn every_role_on_every_operation() {
    let panel = Panel::start("");
    let operations = operations(&panel.stranger());
    assert!(operations.len() > 50, "{}", operations.len());
    let roles = [
        None,
        Some(Role::Viewer),
        Some(Role::Operator),
        Some(Role::Admin),
    ];
    let clients = roles.map(|role| match role {
        None => panel.stranger(),
        Some(role) => panel.script(role.word()),
    });
    let mut tried = 0;
    for (method, path, asked) in &operations {
        let needs = OPERATIONS
            .iter()
            .find(|(its, route, _)| its == method && route == path)
            .unwrap_or_else(|| panic!("{method} {path} has no role"))
            .2;
        for (role, client) in roles.iter().zip(&clients) {
            // A token does not measure the ways of nothing; what a measurement takes is tried once.
            let body = (method != "GET").then(|| json!({}));
            let answer = client.send(method, asked, body);
            let code = answer.code();
            let what = format!(
                "{method} {path} as {role:?}: {} {}",
                answer.status,
                answer.text()
            );
            match (needs.role, role) {
                (None, _) => assert!(
                    !["regia:login", "regia:role"].contains(&code.as_str()),
                    "{what}"
                ),
                (Some(_), None) => assert_eq!(
                    (answer.status, code.as_str()),
                    (401, "regia:login"),
                    "{what}"
                ),
                (Some(wanted), Some(role)) if *role < wanted => {
                    assert_eq!(
                        (answer.status, code.as_str()),
                        (403, "regia:role"),
                        "{what}"
                    );
                }
                _ => assert!(
                    !["regia:login", "regia:role"].contains(&code.as_str()),
                    "{what}"
                ),
            }
            assert!(answer.status < 500, "{what}");
            tried += 1;
        }
    }
    assert_eq!(tried, operations.len() * 4);
}
