//! `/metrics`: numbers for Prometheus, in its text format. Shell around the pure `text`.

use super::api::Api;
use super::problem::Problem;
use crate::session::Status;
use crate::session::machine::TRANSITIONS;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::Write as _;

/// Numbers for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "system", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let text = text(&api.session.status(), api.started.elapsed().as_secs_f64());
    ([(header::CONTENT_TYPE, kind)], text)
}

struct Metrics(String);

impl Metrics {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(
            self.0,
            "# HELP regia_{name} {help}\n# TYPE regia_{name} {kind}"
        );
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "regia_{name} {value}");
    }
}

/// A label's value, as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn text(status: &Status, uptime_s: f64) -> String {
    let mut out = Metrics(String::new());
    out.head(
        "state",
        "gauge",
        "1 for the state word that holds, 0 for the others",
    );
    for (state, _) in TRANSITIONS {
        let holds = u8::from(state == status.state);
        let _ = writeln!(out.0, "regia_state{{state=\"{}\"}} {holds}", state.word());
    }
    out.one(
        "uptime_seconds",
        "gauge",
        "Since the daemon started",
        uptime_s,
    );
    out.one(
        "elapsed_seconds",
        "gauge",
        "Since the broadcast's first publish",
        status.elapsed_s,
    );
    out.one(
        "video_kbps",
        "gauge",
        "What the encoder is told",
        status.video_kbps.into(),
    );
    out.one(
        "engine_runs_total",
        "counter",
        "Engines started",
        status.engine_runs as f64,
    );
    out.one(
        "dropped_frames_total",
        "counter",
        "Frames left out by a slow machine",
        status.dropped_frames as f64,
    );
    out.one(
        "units_total",
        "counter",
        "Pictures and AAC frames made",
        status.units as f64,
    );
    out.one(
        "alarms",
        "gauge",
        "What is wrong with the programme now",
        status.alarms.len() as f64,
    );
    let levels = status.levels.as_ref().map(|levels| &levels.programme);
    if let Some(lufs) = levels.and_then(|levels| levels.short_term_lufs) {
        out.one(
            "loudness_short_term_lufs",
            "gauge",
            "Of the programme, over 3 s",
            lufs.into(),
        );
    }
    type Number = fn(&crate::session::DestinationView) -> f64;
    let numbers: [(&str, &str, &str, Number); 9] = [
        ("on_air", "gauge", "1 while the ingest takes it", |to| {
            f64::from(u8::from(to.delivery.state == "on_air"))
        }),
        ("bitrate_kbps", "gauge", "What goes out", |to| {
            to.delivery.bitrate_kbps.into()
        }),
        ("hold_used_seconds", "gauge", "How far behind it is", |to| {
            to.delivery.hold_used_s
        }),
        ("hold_seconds", "gauge", "How far behind it may be", |to| {
            to.delivery.hold_s
        }),
        (
            "delivered_seconds_total",
            "counter",
            "What the ingest acknowledged",
            |to| to.delivery.delivered_s,
        ),
        (
            "shed_seconds_total",
            "counter",
            "Given up because it became too old",
            |to| to.delivery.shed_s,
        ),
        (
            "replayed_seconds_total",
            "counter",
            "Sent a second time",
            |to| to.delivery.replayed_s,
        ),
        (
            "reconnects_total",
            "counter",
            "Publishes after the first",
            |to| to.delivery.reconnects.into(),
        ),
        (
            "rtt_milliseconds",
            "gauge",
            "Round trip to the ingest",
            |to| to.delivery.rtt_ms.unwrap_or(f64::NAN),
        ),
    ];
    for (name, kind, help, number) in numbers {
        out.head(&format!("destination_{name}"), kind, help);
        for to in &status.destinations {
            let id = escaped(&to.delivery.id);
            let (session, value) = (to.session, number(to));
            let value = if value.is_nan() {
                "NaN".to_owned()
            } else {
                value.to_string()
            };
            let _ = writeln!(
                out.0,
                "regia_destination_{name}{{destination=\"{id}\",session=\"{session}\"}} {value}"
            );
        }
    }
    out.0
}
