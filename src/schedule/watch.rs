//! What happens in a broadcast that people who are not in the room should know. Shell.

use super::carry::Hands;
use crate::alert::Telling;
use crate::config::AlertLevel;
use crate::session::event::{Event, Who};
use tokio::sync::broadcast::error::RecvError;

/// Tells until the session is gone.
pub(super) async fn serve(hands: Hands) {
    let mut log = hands.session.log();
    let alerts = hands.alerts;
    // The last handle's end is the session's.
    drop(hands.session);
    drop(hands.preflight);
    loop {
        let entry = match log.recv().await {
            Ok(entry) => entry,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(level) = level(&entry.event) else {
            continue;
        };
        let show = match &entry.who {
            Who::Schedule(show) => Some(show.clone()),
            _ => None,
        };
        alerts.tell(Telling {
            level,
            title: entry.event.to_string().trim_end_matches('.').to_owned(),
            text: entry.event.to_string(),
            show,
            occurrence: None,
            zone: jiff::tz::TimeZone::system(),
        });
    }
}

/// What the schedule tells by itself is not told twice.
fn level(event: &Event) -> Option<AlertLevel> {
    Some(match event {
        Event::StartFailed { .. }
        | Event::NotResumed { .. }
        | Event::RolloverFailed { .. }
        | Event::RecordingFailed { .. } => AlertLevel::Problem,
        Event::Stalled { .. }
        | Event::Lost { .. }
        | Event::SourceLost { .. }
        | Event::EngineDied { .. }
        | Event::GuardWarning { .. }
        | Event::LimitReached { .. } => AlertLevel::Warning,
        Event::OnAir { .. } | Event::Ended { .. } | Event::Resumed { .. } => AlertLevel::Info,
        _ => return None,
    })
}
