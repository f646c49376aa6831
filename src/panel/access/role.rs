//! What somebody may do, and what each operation asks for: one table, used by the gate and by its test. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Each may do what those before it may.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Runs the show.
    Operator,
    /// Sets up the box: users, tokens, configuration.
    Admin,
}

pub const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    pub fn from_word(word: &str) -> Option<Role> {
        ROLES.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// None: nothing; it is for those who have not logged in.
    pub role: Option<Role>,
    /// It changes what goes out, so nobody else may hold the desk.
    pub desk: bool,
}

const ANYONE: Needs = Needs {
    role: None,
    desk: false,
};
const VIEWER: Needs = role(Role::Viewer);
const OPERATOR: Needs = role(Role::Operator);
const ADMIN: Needs = role(Role::Admin);
/// Of an operator, at the desk.
const DESK: Needs = Needs {
    role: Some(Role::Operator),
    desk: true,
};

const fn role(role: Role) -> Needs {
    Needs {
        role: Some(role),
        desk: false,
    }
}

/// Every operation: method, path as it is routed, and what it needs. What isn't here is for an admin.
pub const OPERATIONS: &[(&str, &str, Needs)] = &[
    ("GET", "/", ANYONE),
    ("GET", "/{*path}", ANYONE),
    ("GET", "/healthz", ANYONE),
    ("GET", "/metrics", VIEWER),
    ("GET", "/api/v1/openapi.json", ANYONE),
    // Access.
    ("POST", "/api/v1/login", ANYONE),
    ("POST", "/api/v1/setup", ANYONE),
    ("POST", "/api/v1/logout", VIEWER),
    ("GET", "/api/v1/me", VIEWER),
    ("GET", "/api/v1/users", ADMIN),
    ("POST", "/api/v1/users", ADMIN),
    ("PUT", "/api/v1/users/{name}", ADMIN),
    ("DELETE", "/api/v1/users/{name}", ADMIN),
    ("GET", "/api/v1/tokens", ADMIN),
    ("POST", "/api/v1/tokens", ADMIN),
    ("DELETE", "/api/v1/tokens/{id}", ADMIN),
    ("POST", "/api/v1/desk/take", OPERATOR),
    ("POST", "/api/v1/desk/ask", OPERATOR),
    ("POST", "/api/v1/desk/release", OPERATOR),
    // What is, and what was.
    ("GET", "/api/v1/status", VIEWER),
    ("GET", "/api/v1/events", VIEWER),
    ("GET", "/api/v1/preview/programme.flv", VIEWER),
    ("GET", "/api/v1/log", VIEWER),
    ("GET", "/api/v1/sessions", VIEWER),
    ("GET", "/api/v1/sessions/{id}", VIEWER),
    ("GET", "/api/v1/sessions/{id}/log", VIEWER),
    ("GET", "/api/v1/sessions/{id}/report.html", VIEWER),
    ("GET", "/api/v1/recordings", VIEWER),
    ("GET", "/api/v1/recordings/{file}", OPERATOR),
    ("GET", "/api/v1/system", OPERATOR),
    // It loads the uplinks for some seconds.
    ("GET", "/api/v1/preflight", OPERATOR),
    // The broadcast.
    ("POST", "/api/v1/live/start", DESK),
    ("POST", "/api/v1/live/stop", DESK),
    ("POST", "/api/v1/live/extend", DESK),
    ("POST", "/api/v1/live/dump", DESK),
    ("POST", "/api/v1/live/mark", OPERATOR),
    ("GET", "/api/v1/keys", OPERATOR),
    ("PUT", "/api/v1/keys/{slot}", OPERATOR),
    ("DELETE", "/api/v1/keys/{slot}", OPERATOR),
    // The mix.
    ("GET", "/api/v1/scenes", VIEWER),
    ("POST", "/api/v1/scene/preview", DESK),
    ("POST", "/api/v1/scene/take", DESK),
    ("POST", "/api/v1/scene/black", DESK),
    ("POST", "/api/v1/overlays/{id}", DESK),
    ("POST", "/api/v1/titles/{id}", DESK),
    ("POST", "/api/v1/audio/{source}", DESK),
    ("POST", "/api/v1/audio/loudness/reset", DESK),
    ("GET", "/api/v1/thumbnails/source/{file}", VIEWER),
    ("GET", "/api/v1/thumbnails/{file}", VIEWER),
    // The configuration. Whoever names files, hosts and keys in it can send any file of the box anywhere.
    ("GET", "/api/v1/config", OPERATOR),
    ("PUT", "/api/v1/config", ADMIN),
    ("POST", "/api/v1/config/check", OPERATOR),
    ("POST", "/api/v1/config/undo", ADMIN),
    ("GET", "/api/v1/config/versions", OPERATOR),
    ("PUT", "/api/v1/config/source/{id}", ADMIN),
    ("DELETE", "/api/v1/config/source/{id}", ADMIN),
    ("PUT", "/api/v1/config/destination/{id}", ADMIN),
    ("DELETE", "/api/v1/config/destination/{id}", ADMIN),
    // Scenes, titles and overlays may show any image file of the box.
    ("PUT", "/api/v1/config/scene/{id}", ADMIN),
    ("DELETE", "/api/v1/config/scene/{id}", ADMIN),
    ("PUT", "/api/v1/config/title/{id}", ADMIN),
    ("DELETE", "/api/v1/config/title/{id}", ADMIN),
    ("PUT", "/api/v1/config/overlay/{id}", ADMIN),
    ("DELETE", "/api/v1/config/overlay/{id}", ADMIN),
    ("GET", "/api/v1/sources", VIEWER),
    ("GET", "/api/v1/destinations", OPERATOR),
    ("GET", "/api/v1/uplinks", VIEWER),
    ("GET", "/api/v1/titles", VIEWER),
    ("GET", "/api/v1/overlays", VIEWER),
    // The schedule.
    ("GET", "/api/v1/schedule", VIEWER),
    ("GET", "/api/v1/shows", VIEWER),
    ("POST", "/api/v1/shows", OPERATOR),
    ("GET", "/api/v1/shows/{id}", VIEWER),
    ("PUT", "/api/v1/shows/{id}", OPERATOR),
    ("DELETE", "/api/v1/shows/{id}", OPERATOR),
    ("POST", "/api/v1/shows/{id}/run", DESK),
    ("POST", "/api/v1/shows/{id}/step", DESK),
    ("POST", "/api/v1/shows/import", OPERATOR),
    ("GET", "/api/v1/shows/export", VIEWER),
    ("POST", "/api/v1/schedule/token", OPERATOR),
    // It has a token of its own.
    ("GET", "/calendar.ics", ANYONE),
    ("GET", "/api/v1/calendar.ics", ANYONE),
];

/// What a request for this route needs. HEAD is GET without a body.
pub fn needs(method: &str, route: &str) -> Needs {
    let method = if method == "HEAD" { "GET" } else { method };
    OPERATIONS
        .iter()
        .find(|(its, path, _)| *its == method && *path == route)
        .map_or(ADMIN, |(.., needs)| *needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_stands_once_and_the_unknown_is_for_an_admin() {
        for (n, (method, path, _)) in OPERATIONS.iter().enumerate() {
            let again = OPERATIONS[n + 1..]
                .iter()
                .any(|(its, other, _)| its == method && other == path);
            assert!(!again, "{method} {path} stands twice");
        }
        assert_eq!(needs("POST", "/api/v1/brand/new").role, Some(Role::Admin));
        assert_eq!(needs("HEAD", "/api/v1/status").role, Some(Role::Viewer));
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }

    #[test]
    fn whatever_changes_something_needs_more_than_a_look() {
        let harmless = ["/api/v1/login", "/api/v1/setup", "/api/v1/logout"];
        for (method, path, needs) in OPERATIONS {
            if *method != "GET" && !harmless.contains(path) {
                assert!(needs.role >= Some(Role::Operator), "{method} {path}");
            }
        }
    }
}
