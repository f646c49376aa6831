//! The panel's own files, built from web-ui/ and embedded. Shell.
//!
//! A build without Node has none: then a plain page says how to get them.

use super::api::Api;
use super::problem::Refused;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri, header};
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
    if let Some(file) = Files::get(path) {
        let hash = file.metadata.sha256_hash();
        let tag: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = format!("\"{tag}\"");
        let known = headers.get(header::IF_NONE_MATCH);
        if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        let caching = if path.starts_with("assets/") {
            FOREVER
        } else {
            "no-cache"
        };
        let headers = [
            (header::CONTENT_TYPE, content_type(path).to_owned()),
            (header::ETAG, tag),
            (header::CACHE_CONTROL, caching.to_owned()),
        ];
        return (headers, file.data.into_owned()).into_response();
    }
    // A screen of the panel, whose path the page itself reads. What has a name with a dot is a file that isn't there.
    let last = path.rsplit('/').next().unwrap_or_default();
    if last.contains('.') {
        return Refused::not_found("unknown-file", "there is no such file").into_response();
    }
    let no_cache = [(header::CACHE_CONTROL, "no-cache")];
    match Files::get("index.html") {
        Some(index) => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (no_cache, kind, index.data.into_owned()).into_response()
        }
        None => {
            let own = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
            (
                no_cache,
                [(header::CONTENT_SECURITY_POLICY, own)],
                Html(WITHOUT),
            )
                .into_response()
        }
    }
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
