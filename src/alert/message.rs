//! What is told, and the shape in which a webhook wants it. Pure.

use crate::config::{AlertLevel, Webhook, WebhookForm};
use ring::hmac;
use serde::Serialize;
use serde_json::json;
use url::Url;

/// Something that people should know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    pub level: AlertLevel,
    /// One line: what it is about.
    pub title: String,
    /// What, where, and what to do next.
    pub text: String,
    /// The show's id, where it is about one.
    pub show: Option<String>,
    pub occurrence: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// The same for people, with the venue's zone.
    pub at: String,
    /// The box's name.
    pub host: String,
    /// The same for one message, however often it is sent.
    pub id: String,
}

/// A request that is ready to be sent. Its debug form has no secret.
#[derive(Clone, PartialEq)]
pub struct Post {
    pub method: &'static str,
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

fn emoji(level: AlertLevel) -> &'static str {
    match level {
        AlertLevel::Info => "ℹ️",
        AlertLevel::Warning => "⚠️",
        AlertLevel::Problem => "🛑",
    }
}

/// None: the address is none.
pub fn post(hook: &Webhook, message: &Message) -> Option<Post> {
    let mut url = Url::parse(hook.url.expose()).ok()?;
    let mut method = "POST";
    let mut headers = Vec::new();
    let plain = format!(
        "{} {}\n{}",
        emoji(message.level),
        message.title,
        message.text
    );
    let body = match hook.form {
        WebhookForm::Json => {
            headers.push(("content-type", "application/json".to_owned()));
            serde_json::to_vec(message).ok()?
        }
        // https://docs.ntfy.sh/publish/: JSON goes to the server's root, with the topic inside.
        WebhookForm::Ntfy => {
            let topic = url.path().trim_matches('/').to_owned();
            url.set_path("/");
            headers.push(("content-type", "application/json".to_owned()));
            let (priority, tag) = match message.level {
                AlertLevel::Info => (3, "information_source"),
                AlertLevel::Warning => (4, "warning"),
                AlertLevel::Problem => (5, "rotating_light"),
            };
            let body = json!({
                "topic": topic,
                "title": message.title,
                "message": message.text,
                "priority": priority,
                "tags": [tag],
            });
            body.to_string().into_bytes()
        }
        // Client-server API: PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}; a transaction's id makes a repetition
        // harmless.
        WebhookForm::Matrix => {
            method = "PUT";
            headers.push(("content-type", "application/json".to_owned()));
            let room = hook.room.clone().unwrap_or_default();
            let path = [
                "_matrix",
                "client",
                "v3",
                "rooms",
                &room,
                "send",
                "m.room.message",
                &message.id,
            ];
            url.path_segments_mut().ok()?.pop_if_empty().extend(path);
            json!({ "msgtype": "m.text", "body": plain })
                .to_string()
                .into_bytes()
        }
        // https://core.telegram.org/bots/api#sendmessage: the address is https://api.telegram.org/bot<token>.
        WebhookForm::Telegram => {
            headers.push(("content-type", "application/json".to_owned()));
            url.path_segments_mut()
                .ok()?
                .pop_if_empty()
                .push("sendMessage");
            let quiet = message.level == AlertLevel::Info;
            json!({ "chat_id": hook.chat, "text": plain, "disable_notification": quiet })
                .to_string()
                .into_bytes()
        }
    };
    headers.push((
        "user-agent",
        concat!("regia/", env!("CARGO_PKG_VERSION")).to_owned(),
    ));
    headers.push(("idempotency-key", message.id.clone()));
    if let Some(token) = &hook.token {
        headers.push(("authorization", format!("Bearer {}", token.expose())));
    }
    if let Some(secret) = &hook.signing {
        headers.push(("x-regia-timestamp", message.at_ms.to_string()));
        headers.push((
            "x-regia-signature",
            format!("sha256={}", sign(secret.expose(), message.at_ms, &body)),
        ));
    }
    Some(Post {
        method,
        url,
        headers,
        body,
    })
}

/// HMAC-SHA256, in hexadecimal, of the time in ms, a full stop and the body: who knows the secret can tell that it comes from here,
/// and when.
fn sign(secret: &str, at_ms: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(at_ms.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let tag = context.sign();
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use serde_json::Value;

    fn message() -> Message {
        Message {
            level: AlertLevel::Problem,
            title: "Sunday service: no key".into(),
            text: "linkedin has no key".into(),
            show: Some("sunday".into()),
            occurrence: Some("sunday/2026-08-02T10:00".into()),
            at_ms: 1_785_000_000_000,
            at: "Sat 10:00 CEST".into(),
            host: "box".into(),
            id: "m1".into(),
        }
    }

    fn hook(url: &str, form: WebhookForm) -> Webhook {
        Webhook {
            url: Secret::new(url),
            form,
            signing: None,
            token: None,
            chat: Some("-100".into()),
            room: Some("!abc:example.org".into()),
            tls_ca_file: None,
        }
    }

    fn header<'a>(post: &'a Post, name: &str) -> Option<&'a str> {
        post.headers
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn forms() {
        let ntfy = post(
            &hook("https://ntfy.example/stage", WebhookForm::Ntfy),
            &message(),
        )
        .unwrap();
        let body: Value = serde_json::from_slice(&ntfy.body).unwrap();
        assert_eq!(
            (ntfy.url.as_str(), &body["topic"], &body["priority"]),
            ("https://ntfy.example/", &"stage".into(), &5.into())
        );
        let matrix = post(
            &hook("https://matrix.example", WebhookForm::Matrix),
            &message(),
        )
        .unwrap();
        assert_eq!(matrix.method, "PUT");
        assert_eq!(
            matrix.url.as_str(),
            "https://matrix.example/_matrix/client/v3/rooms/!abc:example.org/send/m.room.message/m1"
        );
        let telegram = post(
            &hook("https://api.telegram.org/bot1:x", WebhookForm::Telegram),
            &message(),
        )
        .unwrap();
        assert_eq!(telegram.url.path(), "/bot1:x/sendMessage");
        let body: Value = serde_json::from_slice(&telegram.body).unwrap();
        assert_eq!(
            body["text"],
            "🛑 Sunday service: no key\nlinkedin has no key"
        );
    }

    #[test]
    fn signed() {
        let mut hook = hook("https://example.org/hook", WebhookForm::Json);
        hook.signing = Some(Secret::new("key"));
        hook.token = Some(Secret::new("t"));
        let post = post(&hook, &message()).unwrap();
        assert_eq!(header(&post, "authorization"), Some("Bearer t"));
        assert_eq!(header(&post, "x-regia-timestamp"), Some("1785000000000"));
        // printf '5.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(
            sign("key", 5, b"{}"),
            "9be615aec64f0d044b5ad6854ab1d893ec88617fb728d2149dcd3a3428e8c45d"
        );
    }
}
