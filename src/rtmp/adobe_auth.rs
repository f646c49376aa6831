//! Adobe authentication (`authmod=adobe`; Akamai, Wowza, Adobe Media Server). The server rejects the first
//! connect and names the method, rejects the second with a challenge, and takes the third. Adobe never
//! published it; this is what librtmp (`PublisherAuth`) and ffmpeg (`do_adobe_auth`) do.

use crate::secret::{Credentials, Secret};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};

const METHOD: &str = "authmod=adobe";

/// What a rejected connect asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AuthStep {
    /// The rejection has another reason.
    NotAsked,
    /// Connect again, with this behind the application's name and the server URL.
    Retry(Secret),
    /// There are no credentials to answer with.
    NoCredentials,
    /// They were given, and the server does not take them.
    Refused,
}

/// `app` is the one of the rejected connect; `challenge` is this client's random text.
pub(super) fn answer(
    description: &str,
    app: &str,
    credentials: Option<&Credentials>,
    challenge: &str,
) -> AuthStep {
    let asks_for_method = description.contains("need auth") && description.contains(METHOD);
    let server_challenge = description
        .split_once("?reason=needauth")
        .map(|(_, query)| query);
    if !asks_for_method && server_challenge.is_none() {
        return AuthStep::NotAsked;
    }
    let Some(credentials) = credentials else {
        return AuthStep::NoCredentials;
    };
    let tried = &app[without_auth(app).len()..];
    let user = &credentials.user;
    match server_challenge {
        // Our user was already named, or the challenge already answered: the same again is no use.
        None if tried.contains(METHOD) => AuthStep::Refused,
        Some(_) if tried.contains("&response=") => AuthStep::Refused,
        None => AuthStep::Retry(Secret::new(format!("?{METHOD}&user={user}"))),
        Some(query) => {
            let salt = parameter(query, "salt").unwrap_or_default();
            let opaque = parameter(query, "opaque").filter(|opaque| !opaque.is_empty());
            let theirs = opaque.or(parameter(query, "challenge")).unwrap_or_default();
            let password = credentials.password.expose();
            let salted = digest(&[user, salt, password]);
            let response = digest(&[&salted, theirs, challenge]);
            let mut answer =
                format!("?{METHOD}&user={user}&challenge={challenge}&response={response}");
            if let Some(opaque) = opaque {
                answer.push_str("&opaque=");
                answer.push_str(opaque);
            }
            AuthStep::Retry(Secret::new(answer))
        }
    }
}

/// An application's name or a URL without the authentication that an earlier step put behind it.
pub(super) fn without_auth(name: &str) -> &str {
    match name.find(METHOD) {
        Some(at) => name[..at].trim_end_matches('?'),
        None => name,
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split(['&', '?'])
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_end())
}

fn digest(parts: &[&str]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(part.as_bytes());
    }
    STANDARD.encode(md5.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
    /// Wowza's names the code again.
    const SECOND: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : /live : \
        ?reason=needauth&user=john&salt=SALT&challenge=CHAL&opaque=OPAQ";

    fn credentials() -> Credentials {
        Credentials {
            user: "john".into(),
            password: Secret::new("doe"),
        }
    }

    fn retry(description: &str, app: &str) -> AuthStep {
        answer(description, app, Some(&credentials()), "c0ffee00")
    }

    #[test]
    fn the_three_connects() {
        assert_eq!(
            retry(FIRST, "live"),
            AuthStep::Retry(Secret::new("?authmod=adobe&user=john"))
        );
        // Computed apart from this code, with Python's hashlib and base64, by the formula of librtmp.
        assert_eq!(
            retry(SECOND, "live?authmod=adobe&user=john"),
            AuthStep::Retry(Secret::new(
                "?authmod=adobe&user=john&challenge=c0ffee00&response=WXddFWcVtDFeQ+sjnKhMdA==&opaque=OPAQ"
            ))
        );
        let without_opaque = SECOND.replace("&opaque=OPAQ", "");
        assert_eq!(
            retry(&without_opaque, "live?authmod=adobe&user=john"),
            AuthStep::Retry(Secret::new(
                "?authmod=adobe&user=john&challenge=c0ffee00&response=Xr7kDn5H97EhYwHMSHr47w=="
            ))
        );
    }

    #[test]
    fn an_application_with_a_query_keeps_it() {
        // A second question mark, like librtmp and ffmpeg: servers look for "?authmod".
        assert_eq!(
            retry(FIRST, "live?id=1"),
            AuthStep::Retry(Secret::new("?authmod=adobe&user=john"))
        );
        assert_eq!(
            without_auth("live?id=1?authmod=adobe&user=john"),
            "live?id=1"
        );
        assert_eq!(without_auth("live?authmod=adobe&user=john"), "live");
        assert_eq!(without_auth("live"), "live");
    }

    #[test]
    fn no_step_is_taken_twice() {
        assert_eq!(
            retry(FIRST, "live?authmod=adobe&user=john"),
            AuthStep::Refused
        );
        assert_eq!(
            retry(
                SECOND,
                "live?authmod=adobe&user=john&challenge=x&response=y"
            ),
            AuthStep::Refused
        );
    }

    #[test]
    fn other_rejections_and_missing_credentials_are_told_apart() {
        assert_eq!(retry("server is full", "live"), AuthStep::NotAsked);
        assert_eq!(
            retry("[ authmod=adobe ] : ?reason=authfailed", "live"),
            AuthStep::NotAsked
        );
        assert_eq!(answer(FIRST, "live", None, "c"), AuthStep::NoCredentials);
    }
}
