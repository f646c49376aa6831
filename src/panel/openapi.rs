//! `/openapi.json`: the API's description, made from the operations themselves. Shell.

use super::configuration::KINDS;
use super::{access, api, configuration, events, keys, log, metrics, preflight, preview};
use super::{mix, recordings, reports, shows, system};
use axum::Json;
use utoipa::openapi::path::{Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, SecurityRequirement};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Regia",
        description = "What the panel, the command line and scripts use. Errors are problem details (RFC 9457): `type` is a stable \
                       code, `title` says what to do. A browser's session sends X-Regia-CSRF with whatever changes something; \
                       POST takes an Idempotency-Key."
    ),
    paths(
        access::login, access::logout, access::setup, access::me,
        access::users, access::add_user, access::put_user, access::delete_user,
        access::tokens, access::add_token, access::delete_token,
        access::desk_take, access::desk_ask, access::desk_release,
        api::status, events::events, preview::programme, preflight::report,
        api::live_start, api::live_stop, api::live_extend, api::live_dump, api::live_mark,
        mix::scenes, mix::preview, mix::take, mix::black, mix::overlay, mix::title, mix::audio, mix::reset_loudness,
        mix::of_source, mix::of_programme,
        keys::list, keys::save, keys::delete,
        log::sessions, log::of_session, log::newest, reports::json, reports::html,
        recordings::list, recordings::download,
        configuration::config, configuration::put_config, configuration::check, configuration::undo,
        configuration::versions, configuration::put_entry, configuration::delete_entry,
        configuration::sources, configuration::destinations, configuration::uplinks, configuration::titles, configuration::overlays,
        shows::schedule, shows::token, shows::list, shows::save, shows::show, shows::put, shows::delete, shows::import,
        shows::export, shows::run, shows::step, shows::feed,
        system::system, system::healthz, metrics::metrics, document,
    ),
    modifiers(&Finish)
)]
struct Api;

struct Finish;

impl Modify for Finish {
    fn modify(&self, document: &mut Document) {
        document.info.version = env!("CARGO_PKG_VERSION").to_owned();
        each_kind(document);
        let schemes = document.components.get_or_insert_default();
        let cookie = ApiKey::Cookie(ApiKeyValue::new("regia"));
        schemes.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        schemes.add_security_scheme("token", SecurityScheme::Http(bearer));
        let either = ["session", "token"].map(|name| SecurityRequirement::new(name, [""; 0]));
        document.security = Some(either.to_vec());
    }
}

/// `{kind}` stands for a handful of words, each with a path of its own.
fn each_kind(document: &mut Document) {
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, item) in paths {
        if !path.contains("{kind}") {
            document.paths.paths.insert(path, item);
            continue;
        }
        for kind in KINDS {
            let its = path.replace("{kind}", kind);
            document
                .paths
                .paths
                .insert(its, of_kind(item.clone(), kind));
        }
    }
}

fn of_kind(mut item: PathItem, kind: &str) -> PathItem {
    let all = [&mut item.put, &mut item.delete];
    for operation in all.into_iter().flatten() {
        let is_kind = |parameter: &Parameter| {
            parameter.name == "kind" && parameter.parameter_in == ParameterIn::Path
        };
        if let Some(parameters) = &mut operation.parameters {
            parameters.retain(|parameter| !is_kind(parameter));
        }
        if let Some(id) = &mut operation.operation_id {
            *id = id.replace("entry", kind);
        }
    }
    item
}

/// The description.
pub fn openapi() -> Document {
    Api::openapi()
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "system", responses((status = 200, body = Object)))]
pub async fn document() -> Json<Document> {
    Json(openapi())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::access::{OPERATIONS, needs};

    /// Method and path of every operation that is described.
    fn operations() -> Vec<(String, String)> {
        let json = serde_json::to_value(openapi()).unwrap();
        let mut all = Vec::new();
        for (path, item) in json["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                all.push((method.to_uppercase(), path.clone()));
            }
        }
        all
    }

    #[test]
    fn every_operation_that_is_described_has_its_role() {
        let all = operations();
        assert!(all.len() > 50, "{all:?}");
        for (method, path) in all {
            let stands = OPERATIONS
                .iter()
                .any(|(m, p, _)| *m == method && *p == path);
            assert!(stands, "{method} {path} is not in access::OPERATIONS");
            let _ = needs(&method, &path);
        }
    }
}
