//! Who may use the panel: users, logins, tokens of scripts, the desk. Shell, around the pure `role`, `lockout` and `desk`.
//!
//! The book is in memory, behind a lock that is held for some lines and never across an await: every request looks into it, and a
//! disk that hangs must keep no operator out. What it holds is written down by the store.

mod book;
mod desk;
mod handlers;
mod lockout;
mod password;
mod role;

pub use desk::{DeskView, Held, Seat};
pub use handlers::*;
pub use lockout::{Guesser, Lockout};
pub use password::hash as hash_password;
pub use role::{OPERATIONS, ROLES, Role, needs};

use crate::panel::problem::Refused;
use crate::session::clock;
use crate::session::event::Who;
use crate::store::{Store, StoreError, UserRow};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use book::Book;
use desk::Desk;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// SHA-256 of something that lets somebody in: 256 random bits need no salt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark([u8; 32]);

impl Mark {
    pub fn new(bytes: [u8; 32]) -> Self {
        Mark(bytes)
    }

    pub fn of(secret: &str) -> Self {
        let mut mark = [0; 32];
        mark.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Mark(mark)
    }
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mark({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// 256 random bits, as text.
pub fn random_token() -> Result<String, Refused> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        let text = "the system gives no random numbers".to_owned();
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "no-random", text)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Who sent a request, once that is known.
#[derive(Clone, Debug)]
pub struct Caller {
    pub name: String,
    pub role: Role,
    /// A browser that logged in; None: the box's own socket, or a token.
    pub login: Option<Mark>,
    /// A script's.
    pub token: Option<Mark>,
    pub who: Who,
}

impl Caller {
    /// Whoever may open the socket in the state directory is this user, at the box.
    pub fn at_the_box() -> Self {
        Caller {
            name: "the command line".to_owned(),
            role: Role::Admin,
            login: None,
            token: None,
            who: Who::Cli,
        }
    }

    fn seat(&self) -> Option<Seat> {
        Some(Seat {
            user: self.name.clone(),
            login: self.login?,
        })
    }
}

/// What a browser was given.
pub struct LoggedIn {
    pub user: String,
    pub role: Role,
    /// What its cookie is to hold.
    pub cookie: String,
}

#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    book: Mutex<Book>,
    store: Option<Store>,
    passwords: password::Checker,
    /// Counts changes of the desk.
    desk_changed: watch::Sender<u64>,
}

impl Access {
    /// Reads what the store has. Without a store, all of it is forgotten with the process.
    pub async fn open(store: Option<Store>) -> Result<Self, StoreError> {
        let mut book = Book::default();
        if let Some(store) = &store {
            book.users = store
                .users()
                .await?
                .into_iter()
                .map(|row| (row.name.clone(), row))
                .collect();
            for row in store.logins().await? {
                book.logins.insert(Mark(row.mark), row);
            }
            for row in store.tokens().await? {
                book.tokens.insert(Mark(row.mark), row);
            }
        }
        Ok(Access(Arc::new(Inner {
            book: Mutex::new(book),
            store,
            passwords: password::Checker::default(),
            desk_changed: watch::channel(0).0,
        })))
    }

    /// A panic while it was held is a bug, and no reason to keep everybody out.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn role_of(&self, user: &str) -> Option<Role> {
        self.book().role_of(user)
    }

    /// While there is no admin: what the one-time link holds. Each call makes the one before useless.
    pub fn setup_token(&self) -> Result<Option<String>, Refused> {
        if self.book().has_admin() {
            return Ok(None);
        }
        let token = random_token()?;
        self.book().setup = Some(Mark::of(&token));
        Ok(Some(token))
    }

    /// The first admin, by the one-time link.
    async fn set_up(&self, token: &str, name: &str, new: &str) -> Result<LoggedIn, Refused> {
        let refused = || {
            let text = "this link has been used, or the daemon was started again since: `regia passwd admin` on the box sets the password, and the daemon's log has the newest link";
            Refused::new(StatusCode::FORBIDDEN, "setup-over", text.to_owned())
        };
        let mark = Mark::of(token);
        let fits = |book: &Book| !book.has_admin() && book.setup == Some(mark);
        if !fits(&self.book()) {
            return Err(refused());
        }
        handlers::check_user_name(name)?;
        let hash = self.0.passwords.hash(new).await?;
        {
            // Two may have come with the same link.
            let mut book = self.book();
            if !fits(&book) {
                return Err(refused());
            }
            book.setup = None;
        }
        self.put_user(name, Role::Admin, hash).await?;
        self.log_in_as(name, None).await
    }

    /// A new login, in place of the one that the browser came with.
    async fn log_in(
        &self,
        address: Option<IpAddr>,
        name: &str,
        given: &str,
        before: Option<&str>,
    ) -> Result<LoggedIn, Refused> {
        let known = self.book().users.get(name).cloned();
        let address = address.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let guesser = Guesser::new(address, known.as_ref().map(|row| row.name.as_str()));
        let may = self.book().lockout.begin(Instant::now(), &guesser);
        may.map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let text = format!("too many wrong passwords: try again in {seconds} s");
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "wait", text).after(wait)
        })?;
        let hash = known.as_ref().map(|row| row.password.clone());
        if !self.0.passwords.fits(given, hash).await? {
            let text = "there is no such user, or the password is another: try again, or ask an admin for a new one".to_owned();
            return Err(Refused::new(
                StatusCode::UNAUTHORIZED,
                "wrong-password",
                text,
            ));
        }
        self.book().lockout.succeeded(&guesser);
        self.log_in_as(name, before).await
    }

    async fn log_in_as(&self, name: &str, before: Option<&str>) -> Result<LoggedIn, Refused> {
        let cookie = random_token()?;
        let now_ms = clock::wall_ms();
        let (row, role, over) = {
            let mut book = self.book();
            let mut over = book.logins_that_are_over(now_ms);
            over.extend(
                before
                    .map(Mark::of)
                    .filter(|mark| book.logins.contains_key(mark)),
            );
            book.forget_logins(Instant::now(), &over);
            let Some(role) = book.role_of(name) else {
                let text = "the user was deleted just now: ask an admin".to_owned();
                return Err(Refused::new(
                    StatusCode::UNAUTHORIZED,
                    "wrong-password",
                    text,
                ));
            };
            (book.log_in(Mark::of(&cookie), name, now_ms), role, over)
        };
        self.tell_desk();
        if let Some(store) = &self.0.store {
            store
                .delete_logins(over.iter().map(|mark| mark.0).collect())
                .await?;
            store.save_login(row).await?;
        }
        Ok(LoggedIn {
            user: name.to_owned(),
            role,
            cookie,
        })
    }

    async fn log_out(&self, mark: Mark) -> Result<(), Refused> {
        self.book().forget_logins(Instant::now(), &[mark]);
        self.tell_desk();
        if let Some(store) = &self.0.store {
            store.delete_logins(vec![mark.0]).await?;
        }
        Ok(())
    }

    /// Who a cookie belongs to.
    pub fn by_cookie(&self, cookie: &str) -> Option<Caller> {
        let mark = Mark::of(cookie);
        let now_ms = clock::wall_ms();
        let (caller, seen) = {
            let mut book = self.book();
            let caller = book.by_login(mark, now_ms)?;
            (caller, book.see(mark, now_ms))
        };
        if let (Some(row), Some(store)) = (seen, self.0.store.clone()) {
            // Whether it was written is nothing a request waits for.
            tokio::spawn(async move { store.save_login(row).await });
        }
        Some(caller)
    }

    pub fn by_token(&self, token: &str) -> Option<Caller> {
        self.book().by_token(Mark::of(token), clock::wall_ms())
    }

    /// Whether this caller may still do what it may: a socket outlives the request that opened it.
    pub fn still(&self, caller: &Caller) -> bool {
        let now_ms = clock::wall_ms();
        let now = match (caller.login, caller.token) {
            (Some(mark), _) => self.book().by_login(mark, now_ms),
            (None, Some(mark)) => self.book().by_token(mark, now_ms),
            (None, None) => return true,
        };
        now.is_some_and(|now| now.role >= caller.role)
    }

    /// What a request with this cookie proves itself by: another site can send the cookie, and can't read this.
    pub fn csrf(cookie: &str) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, cookie.as_bytes());
        URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, b"csrf"))
    }

    /// Sets a user's password and role, and ends the logins that were made with the password before.
    pub async fn put_user(&self, name: &str, role: Role, hash: String) -> Result<UserRow, Refused> {
        let row = {
            let book = self.book();
            let before = book.users.get(name);
            UserRow {
                name: name.to_owned(),
                role: role.word().to_owned(),
                password: hash,
                created_ms: before.map_or_else(clock::wall_ms, |row| row.created_ms),
            }
        };
        if let Some(store) = &self.0.store {
            store.save_user(row.clone()).await?;
        }
        let over = {
            let mut book = self.book();
            let changed = book.users.insert(row.name.clone(), row.clone());
            let over: Vec<Mark> = match changed {
                Some(before) if before.password != row.password => book.logins_of(name),
                _ => Vec::new(),
            };
            book.forget_logins(Instant::now(), &over);
            over
        };
        self.tell_desk();
        if let Some(store) = &self.0.store {
            store
                .delete_logins(over.iter().map(|mark| mark.0).collect())
                .await?;
        }
        Ok(row)
    }

    fn with_desk<T>(&self, act: impl FnOnce(&mut Desk, Instant) -> T) -> T {
        let done = act(&mut self.book().desk, Instant::now());
        self.tell_desk();
        done
    }

    fn tell_desk(&self) {
        self.0.desk_changed.send_modify(|count| *count += 1);
    }

    pub fn desk_changes(&self) -> watch::Receiver<u64> {
        self.0.desk_changed.subscribe()
    }

    pub fn desk(&self, login: Option<&Mark>) -> DeskView {
        self.book().desk.view(login)
    }

    pub fn desk_holder(&self) -> Option<Mark> {
        self.book().desk.holder().map(|seat| seat.login)
    }

    /// Whether this caller may change what goes out. Scripts and the box itself always may.
    pub fn check_desk(&self, caller: &Caller) -> Result<(), Held> {
        match &caller.login {
            Some(login) => self.book().desk.check(login),
            None => Ok(()),
        }
    }

    /// Each second: frees the desk of one who has gone.
    pub fn tick(&self) {
        let freed = self.book().desk.tick(Instant::now());
        if freed {
            self.tell_desk();
        }
    }

    /// While it is held, the browser has an event socket.
    pub fn at_the_desk(&self, caller: &Caller) -> Option<Presence> {
        let login = caller.login?;
        self.with_desk(|desk, _| desk.opened(login));
        Some(Presence {
            access: self.clone(),
            login,
        })
    }
}

pub struct Presence {
    access: Access,
    login: Mark,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let login = self.login;
        self.access.with_desk(|desk, now| desk.closed(now, login));
    }
}
