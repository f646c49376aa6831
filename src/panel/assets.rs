//! The panel's own files, built from web-ui/ and embedded. Shell.
//!
//! A build without Node has none: then a plain page says how to get them.

use super::api::Api;
use super::problem::Refused;
use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web-ui/dist"]
#[allow_missing = true]
struct Files;

const WITHOUT: &str = include_str!("without_web_ui.html");
/// Names with a hash in them never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
const GZIPPED: &str = ".gz";

pub fn router() -> Router<Api> {
    Router::new()
        .route("/", get(file))
        .route("/{*path}", get(file))
}

async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        let text =
            "there is no such operation; GET /api/v1/openapi.json names those that there are";
        return Refused::not_found("unknown-operation", text).into_response();
    }
    if !path.ends_with(GZIPPED)
        && let Some(found) = serve(path, &headers)
    {
        return found;
    }
    // A screen of the panel, whose path the page itself reads. What has a name with a dot is a file that isn't there.
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.contains('.') {
        return Refused::not_found("unknown-file", "there is no such file").into_response();
    }
    serve("index.html", &headers).unwrap_or_else(|| {
        let own = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        let no_cache = [(header::CACHE_CONTROL, "no-cache")];
        (
            no_cache,
            [(header::CONTENT_SECURITY_POLICY, own)],
            Html(WITHOUT),
        )
            .into_response()
    })
}

/// None: there is no such file. Vite has put a smaller one beside each that becomes much smaller by gzip.
fn serve(path: &str, headers: &HeaderMap) -> Option<Response> {
    let file = Files::get(path)?;
    let gzipped = Files::get(&format!("{path}{GZIPPED}"));
    let vary = gzipped.is_some();
    let gzipped = gzipped.filter(|_| takes_gzip(headers));
    let encoding = gzipped.is_some().then_some("gzip");
    // What is sent differs, so the tag does, while both change with the file.
    let hash = file.metadata.sha256_hash();
    let tag: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}{}\"", if encoding.is_some() { "-gzip" } else { "" });
    let caching = if path.starts_with("assets/") {
        FOREVER
    } else {
        "no-cache"
    };
    let known = headers.get(header::IF_NONE_MATCH);
    let mut response = if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = [(header::CONTENT_TYPE, content_type(path))];
        let data = gzipped.map_or(file.data, |gzipped| gzipped.data);
        (kind, data.into_owned()).into_response()
    };
    let answer = response.headers_mut();
    if let Ok(tag) = tag.parse() {
        answer.insert(header::ETAG, tag);
    }
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    if vary {
        answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Some(encoding) = encoding {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Some(response)
}

/// RFC 9110, 12.5.3: named, or meant by a star, and not with a weight of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let mut by_star = false;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok());
        let wanted = weight.is_none_or(|weight| weight > 0.0);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            return wanted;
        }
        by_star |= name == "*" && wanted;
    }
    by_star
}

/// Of what Vite makes.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        let takes = |line: &'static str| {
            let line = HeaderValue::from_static(line);
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, line)]))
        };
        for yes in [
            "gzip",
            "gzip, deflate, br",
            "br;q=1, GZIP;q=0.2",
            "*",
            "identity, *;q=0.1",
        ] {
            assert!(takes(yes), "{yes}");
        }
        for no in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "*, gzip; q=0",
            "*;q=0.0",
            "gzipped",
        ] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
