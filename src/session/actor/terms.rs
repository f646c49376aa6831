//! What the control is told of each destination: its settings and its platform's rules in the terms of a session.

use crate::config::{Destination, OnLimit, Settings};
use crate::platform::{DEFAULT_MARGIN, OnBreak};
use crate::session::control::Terms;
use crate::session::guard::Limits;
use crate::session::keys::is_single_use;

pub(super) fn of(settings: &Settings) -> Vec<Terms> {
    let of = |destination| terms(settings, destination);
    settings.destinations.iter().map(of).collect()
}

fn terms(settings: &Settings, destination: &Destination) -> Terms {
    let rules = destination.rules();
    let platforms = rules.limit.map(|limit| limit.value);
    let limits = Limits {
        limit: destination.limit.or(platforms),
        ceiling: platforms,
        margin: destination.margin.unwrap_or(DEFAULT_MARGIN),
        closing: settings.session.closing,
        delay: settings.window.delay,
        archive: rules.archive_limit.map(|limit| limit.value),
        rolls_over: destination.on_limit == OnLimit::Rollover,
    };
    Terms {
        id: destination.id.clone(),
        platform: destination.platform.clone(),
        name: rules.name.to_owned(),
        server: destination.server.tc_url.clone(),
        limits,
        grace: rules
            .grace
            .map_or(settings.session.resume_within, |grace| grace.value),
        single_use: is_single_use(destination),
        event_closes: rules.on_break.value == OnBreak::EventCloses,
    }
}
