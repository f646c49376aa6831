//! `/login`, `/logout`, `/me`, `/setup`, `/users`, `/tokens`, `/desk`. Shell.

use super::{Access, Caller, DeskView, LoggedIn, Mark, Role, random_token};
use crate::panel::api::Api;
use crate::panel::gate::{Cookie, Transport};
use crate::panel::problem::{Body, Problem, Refused, Segment};
use crate::session::clock;
use crate::store::TokenRow;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Instant;
use utoipa::ToSchema;

/// Of users and of tokens.
const NAME_LONGEST: usize = 40;
const DAY_MS: i64 = 24 * 3_600_000;
const TOKEN_DAYS_MOST: u32 = 3_650;
const MOST_USERS: usize = 200;

pub fn router() -> Router<Api> {
    Router::new()
        .route("/api/v1/login", post(login))
        .route("/api/v1/logout", post(logout))
        .route("/api/v1/setup", post(setup))
        .route("/api/v1/me", get(me))
        .route("/api/v1/users", get(users).post(add_user))
        .route("/api/v1/users/{name}", put(put_user).delete(delete_user))
        .route("/api/v1/tokens", get(tokens).post(add_token))
        .route("/api/v1/tokens/{id}", delete(delete_token))
        .route("/api/v1/desk/take", post(desk_take))
        .route("/api/v1/desk/ask", post(desk_ask))
        .route("/api/v1/desk/release", post(desk_release))
}

/// It comes back in texts, logs and paths.
pub fn check_user_name(name: &str) -> Result<(), Refused> {
    let fits = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    let ends = name.trim() != name;
    if name.is_empty() || ends || name.chars().count() > NAME_LONGEST || !name.chars().all(fits) {
        let text = format!(
            "a name has letters, digits, spaces, - _ and ., at most {NAME_LONGEST} of them"
        );
        return Err(Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-name",
            text,
        ));
    }
    Ok(())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    user: String,
    #[schema(format = Password)]
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// What stands behind # in the one-time link.
    token: String,
    #[schema(format = Password)]
    password: String,
    /// The first admin's name; without it, admin.
    #[serde(default)]
    user: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Session {
    user: String,
    role: Role,
    /// To be sent as X-Regia-CSRF with everything that changes something. Null: not needed here.
    csrf: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Me {
    #[serde(flatten)]
    session: Session,
    desk: DeskView,
    /// The box's time zone, by its IANA name.
    zone: String,
}

fn logged_in(it: LoggedIn, transport: Transport) -> Response {
    // Strict: no other site's link, form or script brings it along.
    let secure = if transport.tls { "; Secure" } else { "" };
    let max_age = 30 * 24 * 3_600;
    let cookie = format!(
        "regia={}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}",
        it.cookie
    );
    let session = Session {
        csrf: Some(Access::csrf(&it.cookie)),
        user: it.user,
        role: it.role,
    };
    let mut response = Json(session).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Log in; the answer's cookie is the session.
#[utoipa::path(post, path = "/api/v1/login", tag = "access", request_body = Login, responses(
    (status = 200, body = Session), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn login(
    State(api): State<Api>,
    Extension(transport): Extension<Transport>,
    cookie: Option<Extension<Cookie>>,
    Body(ask): Body<Login>,
) -> Result<Response, Refused> {
    let before = cookie.as_ref().map(|Extension(Cookie(text))| text.as_str());
    let access = &api.access;
    let it = access
        .log_in(transport.address, &ask.user, &ask.password, before)
        .await?;
    tracing::info!(user = %it.user, "logged in at the panel");
    Ok(logged_in(it, transport))
}

/// Set the first admin's password, by the link that the first start printed.
#[utoipa::path(post, path = "/api/v1/setup", tag = "access", request_body = Setup, responses(
    (status = 200, body = Session), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn setup(
    State(api): State<Api>,
    Extension(transport): Extension<Transport>,
    Body(ask): Body<Setup>,
) -> Result<Response, Refused> {
    let name = ask.user.as_deref().unwrap_or("admin");
    let it = api.access.set_up(&ask.token, name, &ask.password).await?;
    tracing::info!(user = %it.user, "the first admin of the panel is set up");
    Ok(logged_in(it, transport))
}

/// End this session.
#[utoipa::path(post, path = "/api/v1/logout", tag = "access", responses(
    (status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn logout(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    if let Some(mark) = caller.login {
        api.access.log_out(mark).await?;
    }
    let gone = "regia=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0";
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Who I am, and who holds the desk.
#[utoipa::path(get, path = "/api/v1/me", tag = "access", responses(
    (status = 200, body = Me), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn me(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    cookie: Option<Extension<Cookie>>,
) -> Json<Me> {
    let zone = jiff::tz::TimeZone::system();
    Json(Me {
        desk: api.access.desk(caller.login.as_ref()),
        session: Session {
            csrf: caller
                .login
                .and(cookie)
                .map(|Extension(Cookie(text))| Access::csrf(&text)),
            user: caller.name,
            role: caller.role,
        },
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
    })
}

#[derive(Serialize, ToSchema)]
pub struct User {
    name: String,
    role: Role,
    created_ms: i64,
    /// Browsers that are logged in.
    logins: usize,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    name: String,
    role: Role,
    #[schema(format = Password)]
    password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedUser {
    /// None: as it is.
    #[serde(default)]
    role: Option<Role>,
    /// None: as it is. A new one ends the user's sessions.
    #[serde(default)]
    #[schema(format = Password)]
    password: Option<String>,
}

/// The users.
#[utoipa::path(get, path = "/api/v1/users", tag = "access", responses(
    (status = 200, body = Vec<User>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn users(State(api): State<Api>) -> Json<Vec<User>> {
    let book = api.access.book();
    let users = book.users.values().filter_map(|row| {
        Some(User {
            name: row.name.clone(),
            role: Role::from_word(&row.role)?,
            created_ms: row.created_ms,
            logins: book.logins_of(&row.name).len(),
        })
    });
    Json(users.collect())
}

/// Add a user.
#[utoipa::path(post, path = "/api/v1/users", tag = "access", request_body = NewUser, responses(
    (status = 200, body = Vec<User>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn add_user(
    State(api): State<Api>,
    Body(new): Body<NewUser>,
) -> Result<Json<Vec<User>>, Refused> {
    check_user_name(&new.name)?;
    let (taken, full) = {
        let book = api.access.book();
        (
            book.users.contains_key(&new.name),
            book.users.len() >= MOST_USERS,
        )
    };
    if taken {
        let text = format!(
            "there is a user {:?} already: choose another name",
            new.name
        );
        return Err(Refused::conflict("user-exists", text));
    }
    if full {
        let text = format!("there are {MOST_USERS} users, which is the most: delete one first");
        return Err(Refused::conflict("too-many", text));
    }
    let hash = api.access.0.passwords.hash(&new.password).await?;
    api.access.put_user(&new.name, new.role, hash).await?;
    Ok(users(State(api)).await)
}

fn unknown_user(name: &str) -> Refused {
    Refused::not_found("unknown-user", format!("there is no user {name:?}"))
}

fn last_admin() -> Refused {
    let text = "this is the only admin: make another one first, or nobody could set up the box";
    Refused::conflict("last-admin", text)
}

/// Change a user's role or password. One that is not there is made, if a role and a password are given.
#[utoipa::path(put, path = "/api/v1/users/{name}", tag = "access", params(("name" = String, Path)),
    request_body = ChangedUser, responses(
    (status = 200, body = Vec<User>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn put_user(
    State(api): State<Api>,
    Segment(name): Segment<String>,
    Body(change): Body<ChangedUser>,
) -> Result<Json<Vec<User>>, Refused> {
    let before = api.access.book().users.get(&name).cloned();
    let role = match (&before, change.role) {
        (_, Some(role)) => role,
        (Some(row), None) => Role::from_word(&row.role).unwrap_or(Role::Viewer),
        (None, None) => return Err(unknown_user(&name)),
    };
    let hash = match (&change.password, &before) {
        (Some(password), _) => {
            check_user_name(&name)?;
            api.access.0.passwords.hash(password).await?
        }
        (None, Some(row)) => row.password.clone(),
        (None, None) => return Err(unknown_user(&name)),
    };
    {
        let book = api.access.book();
        let is_admin = book.role_of(&name) == Some(Role::Admin);
        if is_admin && role != Role::Admin && book.admins() == 1 {
            return Err(last_admin());
        }
        if before.is_none() && book.users.len() >= MOST_USERS {
            let text = format!("there are {MOST_USERS} users, which is the most: delete one first");
            return Err(Refused::conflict("too-many", text));
        }
    }
    api.access.put_user(&name, role, hash).await?;
    Ok(users(State(api)).await)
}

/// Delete a user, and end its sessions.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "access", params(("name" = String, Path)), responses(
    (status = 200, body = Vec<User>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_user(
    State(api): State<Api>,
    Segment(name): Segment<String>,
) -> Result<Json<Vec<User>>, Refused> {
    {
        let mut book = api.access.book();
        let Some(role) = book.users.get(&name).map(|row| row.role.clone()) else {
            return Err(unknown_user(&name));
        };
        if role == Role::Admin.word() && book.admins() == 1 {
            return Err(last_admin());
        }
        book.users.remove(&name);
        let its = book.logins_of(&name);
        book.forget_logins(Instant::now(), &its);
    }
    api.access.tell_desk();
    if let Some(store) = &api.access.0.store {
        store.delete_user(name).await?;
    }
    Ok(users(State(api)).await)
}

/// A token of a script, without what lets it in.
#[derive(Serialize, ToSchema)]
pub struct Token {
    id: String,
    name: String,
    role: Role,
    created_ms: i64,
    /// Null: never.
    expires_ms: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    name: String,
    /// What it may do.
    role: Role,
    /// How many days it lives; without it, for ever.
    #[serde(default)]
    days: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    #[serde(flatten)]
    about: Token,
    /// Shown this once: `Authorization: Bearer …`.
    token: String,
}

fn token(row: &TokenRow) -> Option<Token> {
    Some(Token {
        id: row.id.clone(),
        name: row.name.clone(),
        role: Role::from_word(&row.role)?,
        created_ms: row.created_ms,
        expires_ms: row.expires_ms,
    })
}

/// The tokens of scripts.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses(
    (status = 200, body = Vec<Token>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn tokens(State(api): State<Api>) -> Json<Vec<Token>> {
    let mut tokens: Vec<Token> = api
        .access
        .book()
        .tokens
        .values()
        .filter_map(token)
        .collect();
    tokens.sort_by_key(|token| token.created_ms);
    Json(tokens)
}

/// Make a token for a script.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = NewToken, responses(
    (status = 200, body = MadeToken), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn add_token(
    State(api): State<Api>,
    Body(new): Body<NewToken>,
) -> Result<Json<MadeToken>, Refused> {
    check_user_name(&new.name)?;
    if new
        .days
        .is_some_and(|days| days == 0 || days > TOKEN_DAYS_MOST)
    {
        let text = format!(
            "days is from 1 to {TOKEN_DAYS_MOST}; leave it out for a token that never ends"
        );
        return Err(Refused::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad-time",
            text,
        ));
    }
    if api.access.book().tokens.len() >= MOST_USERS {
        let text = format!("there are {MOST_USERS} tokens, which is the most: delete one first");
        return Err(Refused::conflict("too-many", text));
    }
    let secret = format!("regia_{}", random_token()?);
    let now_ms = clock::wall_ms();
    let row = TokenRow {
        id: random_token()?
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect(),
        name: new.name,
        role: new.role.word().to_owned(),
        mark: Mark::of(&secret).0,
        created_ms: now_ms,
        expires_ms: new.days.map(|days| now_ms + i64::from(days) * DAY_MS),
    };
    let about = token(&row).ok_or_else(|| Refused::bad("there is no such role"))?;
    if let Some(store) = &api.access.0.store {
        store.save_token(row.clone()).await?;
    }
    api.access.book().tokens.insert(Mark(row.mark), row);
    Ok(Json(MadeToken {
        about,
        token: secret,
    }))
}

/// Delete a token: it lets nobody in any more.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path)), responses(
    (status = 200, body = Vec<Token>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_token(
    State(api): State<Api>,
    Segment(id): Segment<String>,
) -> Result<Json<Vec<Token>>, Refused> {
    let found = {
        let mut book = api.access.book();
        let before = book.tokens.len();
        book.tokens.retain(|_, row| row.id != id);
        book.tokens.len() != before
    };
    if !found {
        return Err(Refused::not_found(
            "unknown-token",
            format!("there is no token {id:?}"),
        ));
    }
    if let Some(store) = &api.access.0.store {
        store.delete_token(id).await?;
    }
    Ok(tokens(State(api)).await)
}

fn no_desk() -> Refused {
    let text =
        "a desk is held by a browser that has logged in; scripts and the box itself need none";
    Refused::conflict("no-desk", text)
}

/// Take the desk. An admin takes it from whoever has it.
#[utoipa::path(post, path = "/api/v1/desk/take", tag = "access", responses(
    (status = 200, body = DeskView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn desk_take(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<DeskView>, Refused> {
    let seat = caller.seat().ok_or_else(no_desk)?;
    let by_right = caller.role == Role::Admin;
    let taken = api
        .access
        .with_desk(|desk, now| desk.take(now, seat, by_right));
    taken.map_err(|held| Refused::conflict("desk", held.to_string()))?;
    Ok(Json(api.access.desk(caller.login.as_ref())))
}

/// Ask its holder for the desk.
#[utoipa::path(post, path = "/api/v1/desk/ask", tag = "access", responses(
    (status = 200, body = DeskView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn desk_ask(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<DeskView>, Refused> {
    let seat = caller.seat().ok_or_else(no_desk)?;
    api.access.with_desk(|desk, now| desk.ask(now, seat));
    Ok(Json(api.access.desk(caller.login.as_ref())))
}

/// Give the desk back, or to the one who asks for it.
#[utoipa::path(post, path = "/api/v1/desk/release", tag = "access", responses(
    (status = 200, body = DeskView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn desk_release(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<DeskView>, Refused> {
    let login = caller.login.ok_or_else(no_desk)?;
    api.access.with_desk(|desk, now| desk.release(now, &login));
    Ok(Json(api.access.desk(Some(&login))))
}
