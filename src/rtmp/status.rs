//! What a server says when it refuses or informs: status objects of any shape, made safe to print, and
//! what they mean for the operator.

use super::amf0::Amf0Value;
use std::fmt;

/// Of a server's own words, in characters. Longer ones are cut with an ellipsis.
const MAX_TEXT: usize = 400;
/// What is shorter is no secret, and would turn common words into dots.
const MIN_SECRET: usize = 3;
/// The same for a piece of a secret, such as the value of a parameter that follows a key.
const MIN_PIECE: usize = 6;

/// Codes of onStatus (Adobe's NetStatusEvent; Enhanced RTMP v2 for the reconnect request).
pub(super) mod code {
    pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    pub const CONNECT_CLOSED: &str = "NetConnection.Connect.Closed";
    pub const APP_SHUTDOWN: &str = "NetConnection.Connect.AppShutdown";
    pub const INVALID_APP: &str = "NetConnection.Connect.InvalidApp";
    pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
    pub const PUBLISH_START: &str = "NetStream.Publish.Start";
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    pub const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
    pub const PUBLISH_REJECTED: &str = "NetStream.Publish.Rejected";
    pub const UNPUBLISHED: &str = "NetStream.Unpublish.Success";
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
}

/// Why a server refused, as far as its code and words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    /// The key is in use: by our own dead session (a ghost), or by another encoder.
    BadName,
    /// The key, or publishing at all.
    Denied,
    /// User or password.
    Credentials,
    /// The server has no room now.
    Full,
    /// The path of the server URL.
    UnknownApp,
    /// The server ends what it had accepted.
    Ended,
    Other,
}

impl RejectKind {
    /// Trying again with the same settings can't help.
    pub fn is_final(self) -> bool {
        match self {
            RejectKind::Denied | RejectKind::Credentials | RejectKind::UnknownApp => true,
            RejectKind::BadName | RejectKind::Full | RejectKind::Ended | RejectKind::Other => false,
        }
    }

    pub(super) fn of(code: &str, description: &str) -> Self {
        let description = description.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| description.contains(word));
        let denied = || {
            says(&[
                "denied",
                "unauthor",
                "not authori",
                "forbidden",
                "not allowed",
                "permission",
                "invalid key",
                "invalid stream key",
                "invalid token",
                "expired",
            ])
        };
        if says(&["authfailed", "nosuchuser", "authmod=", "password"]) {
            return RejectKind::Credentials;
        }
        if denied() || code.ends_with(".Denied") || code.ends_with(".Unauthorized") {
            return RejectKind::Denied;
        }
        if code == code::PUBLISH_BAD_NAME || says(&["already publish", "already exists", "in use"])
        {
            return RejectKind::BadName;
        }
        if says(&["full", "too many", "limit", "busy", "capacity", "overload"]) {
            return RejectKind::Full;
        }
        if code == code::INVALID_APP || says(&["application", "no such app", "app not found"]) {
            return RejectKind::UnknownApp;
        }
        match code {
            code::PUBLISH_REJECTED => RejectKind::Denied,
            code::CONNECT_CLOSED | code::APP_SHUTDOWN | code::UNPUBLISHED => RejectKind::Ended,
            _ => RejectKind::Other,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            RejectKind::BadName => {
                "the stream key is in use: the server may still hold an earlier session, and lets go \
                 of it after a while; or another encoder uses the same key"
            }
            RejectKind::Denied => {
                "check the stream key, and that the platform's event is open for streaming"
            }
            RejectKind::Credentials => "check this destination's user and password",
            RejectKind::Full => "the server has no room at the moment",
            RejectKind::UnknownApp => "check the path of the server URL",
            RejectKind::Ended => "the server ended the stream",
            RejectKind::Other => "the server gives no other reason",
        }
    }
}

impl fmt::Display for RejectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.advice())
    }
}

/// A status object, whatever its shape. Texts are raw: see `printable`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Status {
    pub level: String,
    pub code: String,
    pub description: String,
    pub tc_url: Option<String>,
}

impl Status {
    /// Finds the status among a command's values after its name and transaction. Servers are known to put
    /// it third or fourth, as object or array, to send a bare text instead, or to leave it out.
    pub(super) fn find(values: &[Amf0Value]) -> Self {
        let text = |from: &Amf0Value, name: &str| {
            from.get(name)
                .and_then(Amf0Value::as_str)
                .map(str::to_owned)
        };
        let with_code = values.iter().find(|value| text(value, "code").is_some());
        let with_description = || {
            values
                .iter()
                .find(|value| text(value, "description").is_some())
        };
        if let Some(info) = with_code.or_else(with_description) {
            return Status {
                level: text(info, "level").unwrap_or_default(),
                code: text(info, "code").unwrap_or_default(),
                description: text(info, "description").unwrap_or_default(),
                tc_url: text(info, "tcUrl"),
            };
        }
        Status {
            description: values
                .iter()
                .find_map(Amf0Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            ..Status::default()
        }
    }

    pub(super) fn is_error(&self) -> bool {
        self.level.eq_ignore_ascii_case("error")
    }
}

/// A peer's text, fit for a log and an operator: one line, of bounded length, without `secrets`, which servers
/// like to repeat ("stream KEY is already publishing"), whole, percent-encoded or without their query.
pub(super) fn printable(text: &str, secrets: &[&str]) -> String {
    // Invisible marks go first: they could split a secret that the eye then puts together.
    let mut text: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let whole = secrets
        .iter()
        .copied()
        .filter(|secret| secret.len() >= MIN_SECRET);
    let pieces = secrets
        .iter()
        .flat_map(|secret| secret.split(['?', '&', '=', '/', '%', ';', ',']))
        .filter(|piece| piece.len() >= MIN_PIECE);
    for secret in whole.chain(pieces) {
        text = text.replace(secret, "••••");
    }
    let mut short: String = text.chars().take(MAX_TEXT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.trim().to_owned()
}

/// Marks that change the direction of text, and others without a shape, could make a log line lie.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(code: &str) -> Amf0Value {
        Amf0Value::object([
            ("level", Amf0Value::string("error")),
            ("code", Amf0Value::string(code)),
            ("description", Amf0Value::string("why")),
        ])
    }

    #[test]
    fn a_status_is_found_in_any_shape() {
        let expected = Status {
            level: "error".into(),
            code: "X".into(),
            description: "why".into(),
            tc_url: None,
        };
        assert_eq!(Status::find(&[Amf0Value::Null, info("X")]), expected);
        assert_eq!(Status::find(&[info("X")]), expected);
        let Amf0Value::Object(properties) = info("X") else {
            unreachable!("built above");
        };
        assert_eq!(Status::find(&[Amf0Value::EcmaArray(properties)]), expected);
        assert_eq!(Status::find(&[]), Status::default());
        assert_eq!(
            Status::find(&[Amf0Value::Null, Amf0Value::string("go away")]).description,
            "go away"
        );
    }

    #[test]
    fn kinds_follow_code_and_words() {
        let cases = [
            (
                code::PUBLISH_BAD_NAME,
                "Already publishing",
                RejectKind::BadName,
            ),
            (code::PUBLISH_BAD_NAME, "access denied", RejectKind::Denied),
            ("NetStream.Publish.Unauthorized", "", RejectKind::Denied),
            (code::PUBLISH_DENIED, "no", RejectKind::Denied),
            (code::CONNECT_REJECTED, "Server is full", RejectKind::Full),
            (
                code::CONNECT_REJECTED,
                "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed",
                RejectKind::Credentials,
            ),
            (
                code::CONNECT_REJECTED,
                "Application (x) is not defined",
                RejectKind::UnknownApp,
            ),
            (code::INVALID_APP, "", RejectKind::UnknownApp),
            (code::APP_SHUTDOWN, "", RejectKind::Ended),
            (code::PUBLISH_REJECTED, "?", RejectKind::Denied),
            (code::PUBLISH_REJECTED, "too many streams", RejectKind::Full),
            ("NetStream.Publish.Failed", "?", RejectKind::Other),
        ];
        for (code, description, kind) in cases {
            assert_eq!(
                RejectKind::of(code, description),
                kind,
                "{code} {description}"
            );
        }
    }

    #[test]
    fn a_ghost_passes_and_a_wrong_key_stays() {
        assert!(!RejectKind::BadName.is_final());
        assert!(!RejectKind::Full.is_final());
        assert!(RejectKind::Denied.is_final());
        assert!(RejectKind::Credentials.is_final());
    }

    #[test]
    fn texts_are_one_short_line_without_secrets() {
        assert_eq!(
            printable("stream k-123 is\r\n\u{1b}[31min use\u{202e}", &["k-123"]),
            "stream •••• is   [31min use"
        );
        assert_eq!(printable("k-1\u{200b}23", &["k-123"]), "••••");
        assert_eq!(printable("a b", &["", "a"]), "a b");
        let key = "k-12345?token=t-67890&x=1";
        assert_eq!(
            printable(
                "k-12345 (token=t-67890) k-12345%3Ftoken%3Dt-67890 x=1",
                &[key]
            ),
            "•••• (token=••••) ••••%3Ftoken%3D•••• x=1"
        );
        let long = printable(&"x".repeat(100_000), &[]);
        assert_eq!(long.chars().count(), MAX_TEXT + 1);
        assert!(long.ends_with('…'));
    }
}
