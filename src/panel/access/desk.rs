//! Who runs the show: one holds the desk, others watch or ask for it. Pure: the time comes in.

use super::Mark;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Free so long after its holder's last event socket has gone. A second less than what is promised, for the timer that looks.
const KEPT: Duration = Duration::from_secs(14);

/// A browser that has logged in, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub user: String,
    pub login: Mark,
}

/// As one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeskView {
    /// Who holds it; null: nobody.
    pub holder: Option<String>,
    /// Whether the caller does, in this browser.
    pub mine: bool,
    /// Who asks the holder for it.
    pub asked_by: Option<String>,
}

#[derive(Debug, Default)]
pub struct Desk {
    holder: Option<Seat>,
    /// Since when the holder has no socket.
    gone: Option<Instant>,
    asked: Option<Seat>,
    sockets: HashMap<Mark, u32>,
}

/// Somebody else has it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} holds the desk: ask for it, or wait until it is given back")]
pub struct Held(pub String);

impl Desk {
    /// An event socket of this browser is open.
    pub fn opened(&mut self, login: Mark) {
        *self.sockets.entry(login).or_default() += 1;
        if self.holder.as_ref().is_some_and(|seat| seat.login == login) {
            self.gone = None;
        }
    }

    pub fn closed(&mut self, now: Instant, login: Mark) {
        if let Some(count) = self.sockets.get_mut(&login) {
            *count -= 1;
            if *count == 0 {
                self.sockets.remove(&login);
            }
        }
        if self.sockets.contains_key(&login) {
            return;
        }
        if self.holder.as_ref().is_some_and(|seat| seat.login == login) {
            self.gone = Some(now);
        }
        self.asked.take_if(|seat| seat.login == login);
    }

    /// `by_right`: an admin takes it from whoever has it.
    pub fn take(&mut self, now: Instant, seat: Seat, by_right: bool) -> Result<(), Held> {
        self.tick(now);
        if !by_right {
            self.check(&seat.login)?;
        }
        self.seat(now, seat);
        Ok(())
    }

    fn seat(&mut self, now: Instant, seat: Seat) {
        self.gone = (!self.sockets.contains_key(&seat.login)).then_some(now);
        self.asked.take_if(|asked| asked.login == seat.login);
        self.holder = Some(seat);
    }

    /// The holder is told. It has it at once where nobody does.
    pub fn ask(&mut self, now: Instant, seat: Seat) {
        self.tick(now);
        match &self.holder {
            None => self.seat(now, seat),
            Some(holder) if holder.login == seat.login => {}
            Some(_) => self.asked = Some(seat),
        }
    }

    /// Gives it back, or to the one who asked. False: it was another's.
    pub fn release(&mut self, now: Instant, login: &Mark) -> bool {
        if self.holder.take_if(|seat| seat.login == *login).is_none() {
            return false;
        }
        self.gone = None;
        if let Some(seat) = self.asked.take() {
            self.seat(now, seat);
        }
        true
    }

    /// Whether this browser may act. A desk that nobody holds keeps nobody out.
    pub fn check(&self, login: &Mark) -> Result<(), Held> {
        match &self.holder {
            Some(seat) if seat.login != *login => Err(Held(seat.user.clone())),
            _ => Ok(()),
        }
    }

    /// The login is no longer one.
    pub fn forget(&mut self, now: Instant, login: &Mark) {
        self.release(now, login);
        self.asked.take_if(|seat| seat.login == *login);
    }

    /// Frees it when its holder has been gone for too long. True: it did.
    pub fn tick(&mut self, now: Instant) -> bool {
        let over = |gone: Instant| now.saturating_duration_since(gone) >= KEPT;
        if !self.gone.is_some_and(over) {
            return false;
        }
        let login = self.holder.as_ref().map(|seat| seat.login);
        login.is_some_and(|login| self.release(now, &login))
    }

    pub fn holder(&self) -> Option<&Seat> {
        self.holder.as_ref()
    }

    pub fn view(&self, login: Option<&Mark>) -> DeskView {
        let mine = |seat: &Seat| Some(&seat.login) == login;
        DeskView {
            holder: self.holder.as_ref().map(|seat| seat.user.clone()),
            mine: self.holder.as_ref().is_some_and(mine),
            asked_by: self.asked.as_ref().map(|seat| seat.user.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(user: &str, n: u8) -> Seat {
        Seat {
            user: user.to_owned(),
            login: Mark::new([n; 32]),
        }
    }

    #[test]
    fn one_holds_it_and_gives_it_to_the_one_who_asks() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        let (anna, ben) = (seat("anna", 1), seat("ben", 2));
        desk.opened(anna.login);
        desk.opened(ben.login);
        assert_eq!(desk.check(&ben.login), Ok(()));
        desk.take(now, anna.clone(), false).unwrap();
        assert_eq!(
            desk.take(now, ben.clone(), false),
            Err(Held("anna".to_owned()))
        );
        assert_eq!(desk.check(&ben.login), Err(Held("anna".to_owned())));
        assert_eq!(desk.check(&anna.login), Ok(()));
        desk.ask(now, ben.clone());
        let view = desk.view(Some(&anna.login));
        assert_eq!((view.mine, view.asked_by.as_deref()), (true, Some("ben")));
        assert!(!desk.release(now, &ben.login));
        assert!(desk.release(now, &anna.login));
        assert_eq!(desk.holder(), Some(&ben));
        desk.take(now, anna.clone(), true).unwrap();
        assert_eq!(desk.holder(), Some(&anna), "an admin takes it by right");
    }

    #[test]
    fn it_is_free_when_its_holder_has_gone_and_kept_over_a_reload() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        let anna = seat("anna", 1);
        desk.opened(anna.login);
        desk.take(now, anna.clone(), false).unwrap();
        desk.closed(now, anna.login);
        assert!(!desk.tick(now + KEPT / 2));
        desk.opened(anna.login);
        assert!(!desk.tick(now + KEPT * 2), "the page was only loaded again");
        desk.closed(now, anna.login);
        assert!(!desk.tick(now + KEPT - Duration::from_secs(1)));
        assert!(desk.tick(now + KEPT));
        assert_eq!(desk.view(None).holder, None);
    }

    #[test]
    fn whoever_takes_it_without_a_socket_has_it_for_as_long() {
        let (mut desk, now) = (Desk::default(), Instant::now());
        desk.take(now, seat("anna", 1), false).unwrap();
        assert!(desk.tick(now + KEPT));
    }
}
