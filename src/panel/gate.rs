//! What stands before every operation: who asks, whether they may, and how much they may send. Shell.

use super::access::{Access, Caller, needs};
use super::idempotency::Replays;
use super::problem::Refused;
use super::shows;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// What somebody who has not logged in may send: a name and a password.
const BODY_OF_STRANGERS: usize = 16 * 1024;
/// A configuration with everything in it has some kilobytes.
const BODY: usize = 1024 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(15);
const COOKIE: &str = "regia";

/// By which way a request came.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    /// The socket in the state directory: who may open it is this user.
    pub at_the_box: bool,
    pub tls: bool,
    /// The peer's; None: the box itself.
    pub address: Option<IpAddr>,
}

impl Transport {
    pub const AT_THE_BOX: Transport = Transport {
        at_the_box: true,
        tls: false,
        address: None,
    };
}

/// What a browser's cookie holds, whether it is of any use or not.
#[derive(Clone)]
pub struct Cookie(pub String);

#[derive(Clone)]
pub struct Gate {
    pub access: Access,
    pub replays: Replays,
}

pub async fn gate(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let found = request.extensions().get::<Transport>().copied();
    // Who put up the router says how requests come; without a word it is a stranger.
    let transport = found.unwrap_or(Transport {
        at_the_box: false,
        tls: false,
        address: None,
    });
    request.extensions_mut().insert(transport);
    let caller = match admit(&gate, transport, &mut request) {
        Ok(caller) => caller,
        Err(refused) => return refused.into_response(),
    };
    let route = request.extensions().get::<MatchedPath>();
    let limit = match (&caller, route.map(MatchedPath::as_str)) {
        (None, _) => BODY_OF_STRANGERS,
        (Some(_), Some(shows::IMPORT)) => shows::CALENDAR_MOST,
        (Some(_), _) => BODY,
    };
    if let Some(caller) = caller.clone() {
        request.extensions_mut().insert(caller);
    }
    let request = match whole(request, limit).await {
        Ok(request) => request,
        Err(refused) => return refused.into_response(),
    };
    gate.replays.run(caller.as_ref(), request, next).await
}

/// Whoever asks, if they may.
fn admit(
    gate: &Gate,
    transport: Transport,
    request: &mut Request,
) -> Result<Option<Caller>, Refused> {
    if transport.at_the_box {
        return Ok(Some(Caller::at_the_box()));
    }
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str).unwrap_or_default();
    let needs = needs(request.method().as_str(), route);
    let headers = request.headers();
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if (changes || headers.contains_key(header::UPGRADE)) && !is_own_origin(headers) {
        let text =
            "this request comes from another site: open the panel by the address that you type";
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            text.to_owned(),
        ));
    }
    let cookie = cookie(headers);
    let caller = match bearer(headers) {
        Some(token) => gate.access.by_token(token),
        None => cookie
            .as_deref()
            .and_then(|cookie| gate.access.by_cookie(cookie)),
    };
    let csrf = headers
        .get("x-regia-csrf")
        .map(HeaderValue::as_bytes)
        .map(<[u8]>::to_vec);
    if let Some(cookie) = &cookie {
        request.extensions_mut().insert(Cookie(cookie.clone()));
    }
    let Some(role) = needs.role else {
        return Ok(caller);
    };
    let Some(caller) = caller else {
        let text =
            "log in first; a script sends Authorization: Bearer with a token that is still good";
        return Err(Refused::new(
            StatusCode::UNAUTHORIZED,
            "login",
            text.to_owned(),
        ));
    };
    if caller.role < role {
        let text = format!(
            "this is for the role {role}, and {} is {}: ask an admin",
            caller.name, caller.role
        );
        return Err(Refused::new(StatusCode::FORBIDDEN, "role", text));
    }
    if changes && caller.login.is_some() {
        let expected = cookie.as_deref().map(Access::csrf).unwrap_or_default();
        if csrf.as_deref() != Some(expected.as_bytes()) {
            let text = "X-Regia-CSRF is missing or of another session: load the page again";
            return Err(Refused::new(StatusCode::FORBIDDEN, "csrf", text.to_owned()));
        }
    }
    if needs.desk {
        let held = gate.access.check_desk(&caller);
        held.map_err(|held| Refused::conflict("desk", held.to_string()))?;
    }
    Ok(Some(caller))
}

/// A browser says which site a script or form is from; it must be the one that it asks.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        // No browser leaves it away here.
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let origin = origin.to_str().unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some() && authority == host
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter();
    all.filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The request with its body in memory, if it is small enough and comes soon enough.
async fn whole(request: Request, limit: usize) -> Result<Request, Refused> {
    // A body of a look is nobody's, and what an upgrade carries comes later.
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(request);
    }
    let too_large = || {
        let text = format!("the body is larger than {limit} bytes, which is the most here");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text)
    };
    let said = request.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|said| said.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > limit as u64) {
        return Err(too_large());
    }
    let (parts, body) = request.into_parts();
    let bytes = match timeout(BODY_WITHIN, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(too_large()),
        Err(_) => {
            let text = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
            return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "too-slow", text));
        }
    };
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// What a browser is told to refuse, on every answer; a page that says more for itself keeps its own word.
pub async fn protect(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; worker-src 'self' blob:; \
         style-src-attr 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(
        header::HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        header::HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    if is_api {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(header::HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn another_site_is_told_by_its_origin() {
        let of = |origin| {
            is_own_origin(&headers(&[
                (header::HOST, "box:8080"),
                (header::ORIGIN, origin),
            ]))
        };
        assert!(of("http://box:8080"));
        assert!(of("https://box:8080"));
        assert!(!of("http://box:8081"));
        assert!(!of("https://box.example"));
        assert!(!of("null"));
        assert!(!of(""));
        assert!(is_own_origin(&headers(&[(header::HOST, "box:8080")])));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let text = |line| cookie(&headers(&[(header::COOKIE, line)]));
        assert_eq!(text("a=b; regia=xyz; c=d").as_deref(), Some("xyz"));
        assert_eq!(text("notregia=xyz"), None);
        assert_eq!(text("regia"), None);
        let token = |line| {
            let headers = headers(&[(header::AUTHORIZATION, line)]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(token("bearer  abc").as_deref(), Some("abc"));
        assert_eq!(token("Basic abc"), None);
    }
}
