//! What is asked of the session. Shell.

use super::Actor;
use super::handle::{Reply, Request, SessionError, StartAsk, StopAsk, indices};
use super::memory::new_id;
use super::status::Status;
use crate::media::MediaTime;
use crate::session::clock;
use crate::session::control::{self, Keys};
use crate::session::event::{Event, Who};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// So many answers are kept for whoever asks the same again…
const ANSWERS: usize = 100;
/// …for so long.
const ANSWERS_KEPT: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Start,
    Stop,
}

/// Answers by the key that the asker gave its request: a double click, or a retry after a broken line, is one request.
#[derive(Default)]
pub(super) struct Answers(VecDeque<(String, Verb, Instant, Result<(), SessionError>)>);

impl Answers {
    fn find(&self, key: &Option<String>, verb: Verb) -> Option<Result<(), SessionError>> {
        let key = key.as_ref()?;
        let (_, asked, _, answer) = self.0.iter().find(|(known, ..)| known == key)?;
        Some(if *asked == verb {
            answer.clone()
        } else {
            Err(SessionError::IdempotencyReused)
        })
    }

    fn keep(
        &mut self,
        now: Instant,
        key: Option<String>,
        verb: Verb,
        answer: &Result<(), SessionError>,
    ) {
        let old = |(_, _, at, _): &(String, Verb, Instant, Result<(), SessionError>)| {
            now.duration_since(*at) > ANSWERS_KEPT
        };
        while self.0.len() >= ANSWERS || self.0.front().is_some_and(old) {
            self.0.pop_front();
        }
        if let Some(key) = key {
            self.0.push_back((key, verb, now, answer.clone()));
        }
    }
}

impl Actor {
    /// The status is renewed before the answer: whoever asked looks at it next.
    pub(super) fn answer(&mut self, request: Request, status: &watch::Sender<Status>) {
        let now = Instant::now();
        let answered: Option<(Reply, Result<(), SessionError>)> = match request {
            Request::Start {
                ask,
                settings,
                keys,
                secrets,
                reply,
            } => {
                self.secrets.extend(secrets);
                let fits = self.check_settings(&settings);
                Some((reply, fits.and_then(|()| self.start(now, ask, keys))))
            }
            Request::Stop { ask, reply } => Some((reply, self.stop(now, ask))),
            Request::Extend {
                destination,
                by,
                who,
                reply,
            } => Some((reply, self.extend(&destination, by, who))),
            Request::Dump { who, reply } => Some((reply, self.dump(who))),
            Request::Mark { text, who, reply } => {
                self.log(who, Event::Marker { text });
                Some((reply, Ok(())))
            }
            Request::Record {
                recording,
                on,
                who,
                reply,
            } => Some((reply, self.record(&recording, on, who))),
            Request::Arm {
                settings,
                destination,
                next,
                secrets,
            } => {
                if self.check_settings(&settings).is_ok() {
                    self.secrets.extend(secrets);
                    self.control.arm(destination, next);
                }
                None
            }
            Request::Reload { settings, reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.ask_reload(settings));
                None
            }
            Request::Mix {
                command,
                at,
                who,
                reply,
            } => {
                self.mix(command, at, who, Some(reply));
                None
            }
            Request::Look { looker, look } => {
                self.look(looker, look);
                None
            }
            Request::Note(who, event) => {
                self.log(who, event);
                None
            }
        };
        self.carry_out(now);
        self.publish(status);
        if let Some((reply, result)) = answered {
            // Whoever asked may have gone.
            let _ = reply.send(result);
        }
    }

    fn start(
        &mut self,
        now: Instant,
        ask: StartAsk,
        keys: Vec<(usize, Keys)>,
    ) -> Result<(), SessionError> {
        if let Some(answer) = self.answers.find(&ask.idempotency, Verb::Start) {
            return answer;
        }
        let id = new_id(&self.control, self.row.as_ref(), &mut self.last_id);
        let was_started = self.control.is_started();
        let who = ask.who.clone();
        let started = self.control.start(clock::moment(), id, keys, who);
        let answer = started.map_err(SessionError::from);
        if answer.is_ok() {
            if !was_started {
                self.notices.clear();
            }
            if let Some(anyway) = ask.anyway {
                self.carry_out(now);
                let event = Event::Anyway {
                    reason: anyway.reason,
                    problems: anyway.problems,
                };
                self.log(ask.who, event);
            }
        }
        self.answers
            .keep(now, ask.idempotency, Verb::Start, &answer);
        answer
    }

    fn stop(&mut self, now: Instant, ask: StopAsk) -> Result<(), SessionError> {
        if let Some(answer) = self.answers.find(&ask.idempotency, Verb::Stop) {
            return answer;
        }
        let destinations = indices(&self.settings.destinations, &ask.destinations)?;
        let told = control::StopAsk {
            session: ask.session.as_deref(),
            destinations,
            confirm: ask.confirm.as_deref(),
            unconditional: ask.unconditional,
        };
        let answer = self
            .control
            .stop(&told, ask.who)
            .map_err(SessionError::from);
        self.answers.keep(now, ask.idempotency, Verb::Stop, &answer);
        answer
    }

    fn extend(&mut self, destination: &str, by: Duration, who: Who) -> Result<(), SessionError> {
        let named = [destination.to_owned()];
        let index = indices(&self.settings.destinations, &named)?[0];
        Ok(self.control.extend(clock::moment(), index, by, who)?)
    }

    fn dump(&mut self, who: Who) -> Result<(), SessionError> {
        let now = self.timeline.programme_time(clock::monotonic());
        let dumped = self
            .air
            .dump(now.unwrap_or(MediaTime::ZERO))
            .ok_or(SessionError::NothingDelayed)?;
        self.dumping = true;
        self.log(
            who,
            Event::Dump {
                seconds: dumped.time.as_secs_f64(),
                units: dumped.units,
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_request_has_the_same_answer() {
        let mut answers = Answers::default();
        let now = Instant::now();
        let key = Some("click-1".to_owned());
        assert!(answers.find(&key, Verb::Start).is_none());
        let refused = Err(SessionError::NoDestination);
        answers.keep(now, key.clone(), Verb::Start, &refused);
        let again = answers.find(&key, Verb::Start).unwrap().unwrap_err();
        assert_eq!(again.to_string(), SessionError::NoDestination.to_string());
        let other = answers.find(&key, Verb::Stop).unwrap().unwrap_err();
        assert_eq!(
            other.to_string(),
            "this Idempotency-Key was used for another request: each click has its own"
        );
        assert!(answers.find(&None, Verb::Start).is_none());
        // Old ones go.
        answers.keep(
            now + ANSWERS_KEPT * 2,
            Some("click-2".into()),
            Verb::Stop,
            &Ok(()),
        );
        assert!(answers.find(&key, Verb::Start).is_none());
    }
}
