//! Users, logins and tokens, as they are now. Pure: the time comes in.

use super::desk::Desk;
use super::lockout::Lockout;
use super::role::Role;
use super::{Caller, Mark};
use crate::session::event::Who;
use crate::store::{LoginRow, TokenRow, UserRow};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// A login that was not used for so long is over: a day off between two shows is none.
const IDLE_MS: i64 = 48 * 3_600_000;
const LONGEST_MS: i64 = 30 * 24 * 3_600_000;
/// How exactly the last use is written down.
const SEEN_EACH_MS: i64 = 10 * 60_000;
/// Of one user; the oldest ends for a newer one.
const MOST_LOGINS: usize = 50;

#[derive(Default)]
pub(super) struct Book {
    pub users: BTreeMap<String, UserRow>,
    pub logins: HashMap<Mark, LoginRow>,
    pub tokens: HashMap<Mark, TokenRow>,
    pub lockout: Lockout,
    pub desk: Desk,
    /// Of the one-time link for the first admin.
    pub setup: Option<Mark>,
}

impl Book {
    pub fn has_admin(&self) -> bool {
        self.admins() > 0
    }

    pub fn admins(&self) -> usize {
        let admin = |row: &&UserRow| row.role == Role::Admin.word();
        self.users.values().filter(admin).count()
    }

    pub fn role_of(&self, user: &str) -> Option<Role> {
        Role::from_word(&self.users.get(user)?.role)
    }

    fn is_over(row: &LoginRow, now_ms: i64) -> bool {
        // A clock that was set back ends nothing.
        now_ms - row.seen_ms > IDLE_MS || now_ms - row.created_ms > LONGEST_MS
    }

    pub fn logins_that_are_over(&self, now_ms: i64) -> Vec<Mark> {
        let over = |(_, row): &(&Mark, &LoginRow)| Self::is_over(row, now_ms);
        self.logins
            .iter()
            .filter(over)
            .map(|(mark, _)| *mark)
            .collect()
    }

    pub fn logins_of(&self, user: &str) -> Vec<Mark> {
        let mut rows: Vec<_> = self
            .logins
            .iter()
            .filter(|(_, row)| row.user == user)
            .collect();
        rows.sort_by_key(|(_, row)| row.created_ms);
        rows.into_iter().map(|(mark, _)| *mark).collect()
    }

    pub fn forget_logins(&mut self, now: Instant, marks: &[Mark]) {
        for mark in marks {
            self.logins.remove(mark);
            self.desk.forget(now, mark);
        }
    }

    pub fn log_in(&mut self, mark: Mark, user: &str, now_ms: i64) -> LoginRow {
        let its = self.logins_of(user);
        for old in its.iter().take((its.len() + 1).saturating_sub(MOST_LOGINS)) {
            self.logins.remove(old);
        }
        let row = LoginRow {
            mark: mark.0,
            user: user.to_owned(),
            created_ms: now_ms,
            seen_ms: now_ms,
        };
        self.logins.insert(mark, row.clone());
        row
    }

    pub fn by_login(&self, mark: Mark, now_ms: i64) -> Option<Caller> {
        let row = self.logins.get(&mark)?;
        if Self::is_over(row, now_ms) {
            return None;
        }
        Some(Caller {
            role: self.role_of(&row.user)?,
            login: Some(mark),
            token: None,
            who: Who::Operator(row.user.clone()),
            name: row.user.clone(),
        })
    }

    /// The row to write down, when it is time to.
    pub fn see(&mut self, mark: Mark, now_ms: i64) -> Option<LoginRow> {
        let row = self.logins.get_mut(&mark)?;
        if now_ms - row.seen_ms < SEEN_EACH_MS {
            return None;
        }
        row.seen_ms = now_ms;
        Some(row.clone())
    }

    pub fn by_token(&self, mark: Mark, now_ms: i64) -> Option<Caller> {
        let row = self.tokens.get(&mark)?;
        if row.expires_ms.is_some_and(|expires| now_ms >= expires) {
            return None;
        }
        let name = format!("token {}", row.name);
        Some(Caller {
            role: Role::from_word(&row.role)?,
            login: None,
            token: Some(mark),
            who: Who::Operator(name.clone()),
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, role: Role) -> UserRow {
        UserRow {
            name: name.to_owned(),
            role: role.word().to_owned(),
            password: String::new(),
            created_ms: 0,
        }
    }

    #[test]
    fn a_login_ends_when_it_is_not_used_and_at_the_latest_after_a_month() {
        let mut book = Book::default();
        book.users
            .insert("anna".into(), user("anna", Role::Operator));
        let mark = Mark::of("cookie");
        book.log_in(mark, "anna", 0);
        assert_eq!(book.by_login(mark, 1).map(|c| c.role), Some(Role::Operator));
        assert!(book.by_login(Mark::of("other"), 1).is_none());
        assert!(book.by_login(mark, IDLE_MS + 1).is_none());
        assert!(book.see(mark, 1).is_none(), "not each use is written down");
        let mut now = 0;
        while now < LONGEST_MS {
            assert!(book.by_login(mark, now).is_some());
            now += IDLE_MS;
            assert!(book.see(mark, now).is_some());
        }
        assert!(book.by_login(mark, LONGEST_MS + 1).is_none());
        assert_eq!(book.logins_that_are_over(LONGEST_MS + 1), [mark]);
    }

    #[test]
    fn a_token_ends_with_its_day_and_a_login_with_its_user() {
        let mut book = Book::default();
        let mark = Mark::of("token");
        let token = TokenRow {
            id: "1".into(),
            name: "companion".into(),
            role: "operator".into(),
            mark: mark.0,
            created_ms: 0,
            expires_ms: Some(1_000),
        };
        book.tokens.insert(mark, token);
        assert_eq!(book.by_token(mark, 999).unwrap().name, "token companion");
        assert!(book.by_token(mark, 1_000).is_none());
        let login = Mark::of("cookie");
        book.log_in(login, "ghost", 0);
        assert!(book.by_login(login, 1).is_none());
    }

    #[test]
    fn many_logins_of_one_user_end_the_oldest() {
        let mut book = Book::default();
        for n in 0..MOST_LOGINS + 10 {
            book.log_in(Mark::of(&n.to_string()), "anna", n as i64);
        }
        assert_eq!(book.logins.len(), MOST_LOGINS);
        assert!(!book.logins.contains_key(&Mark::of("9")));
    }
}
