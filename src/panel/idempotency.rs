//! Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a double click, or a retry after a broken line, is one request. Shell.
//!
//! Starts and stops are told apart by the session itself, which knows more; everything else by what was answered to it.

use super::access::Caller;
use super::problem::Refused;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{Context, SHA256};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const KEPT: Duration = Duration::from_secs(600);
const MOST: usize = 200;
/// A larger answer is not kept, and its request is done again.
const ANSWER_MOST: usize = 64 * 1024;
const KEY_LONGEST: usize = 200;

type Digest = Vec<u8>;

#[derive(Clone)]
enum Outcome {
    UnderWay,
    Answered(StatusCode, HeaderMap, Bytes),
}

struct Known {
    key: Digest,
    request: Digest,
    at: Instant,
    outcome: Outcome,
}

#[derive(Clone, Default)]
pub struct Replays(Arc<Mutex<VecDeque<Known>>>);

impl Replays {
    /// Runs the request, or gives the answer that the same one had.
    pub async fn run(&self, caller: Option<&Caller>, request: Request, next: Next) -> Response {
        let path = request.uri().path();
        let by_session = matches!(path, "/api/v1/live/start" | "/api/v1/live/stop");
        let given = request.headers().get("idempotency-key").cloned();
        // What makes a token or a login says something that is said once.
        let secret = matches!(path, "/api/v1/login" | "/api/v1/setup" | "/api/v1/tokens");
        let (Some(given), Some(caller)) = (given, caller) else {
            return next.run(request).await;
        };
        if by_session || secret || *request.method() != Method::POST {
            return next.run(request).await;
        }
        if given.is_empty() || given.len() > KEY_LONGEST {
            let text = format!("Idempotency-Key has 1 to {KEY_LONGEST} characters");
            return Refused::bad(text).into_response();
        }
        let key = digest(&[caller.name.as_bytes(), given.as_bytes()]);
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return Refused::bad("the body can't be read").into_response();
        };
        let what = digest(&[parts.uri.to_string().as_bytes(), &body]);
        match self.look(&key, &what) {
            Some(Ok(Outcome::Answered(status, headers, body))) => {
                return (status, headers, body).into_response();
            }
            Some(Ok(Outcome::UnderWay)) => {
                let text = "the same request is under way: wait for its answer";
                return Refused::conflict("under-way", text).into_response();
            }
            Some(Err(())) => {
                let text =
                    "this Idempotency-Key was used for another request: each click has its own";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                return Refused::new(status, "idempotency-reused", text.to_owned()).into_response();
            }
            None => {}
        }
        let pending = Pending {
            replays: self,
            key,
            kept: false,
        };
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        pending.keep(response).await
    }

    fn list(&self) -> std::sync::MutexGuard<'_, VecDeque<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of this key; where nothing is, it is under way from now on.
    fn look(&self, key: &Digest, request: &Digest) -> Option<Result<Outcome, ()>> {
        let now = Instant::now();
        let mut list = self.list();
        while list
            .front()
            .is_some_and(|known| now.duration_since(known.at) > KEPT)
        {
            list.pop_front();
        }
        if let Some(known) = list.iter().find(|known| known.key == *key) {
            let same = known.request == *request;
            return Some(if same {
                Ok(known.outcome.clone())
            } else {
                Err(())
            });
        }
        if list.len() >= MOST {
            list.pop_front();
        }
        list.push_back(Known {
            key: key.clone(),
            request: request.clone(),
            at: now,
            outcome: Outcome::UnderWay,
        });
        None
    }
}

/// A request whose client has gone is dropped half-way: then nothing is known of it.
struct Pending<'a> {
    replays: &'a Replays,
    key: Digest,
    kept: bool,
}

impl Pending<'_> {
    async fn keep(mut self, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let Ok(body) = to_bytes(body, ANSWER_MOST).await else {
            let text = "the answer is too long to be kept: ask without Idempotency-Key";
            return Refused::bad(text).into_response();
        };
        // What failed on our side may be tried again.
        if !parts.status.is_server_error()
            && let Some(known) = self
                .replays
                .list()
                .iter_mut()
                .find(|known| known.key == self.key)
        {
            let headers = parts.headers.clone();
            known.outcome = Outcome::Answered(parts.status, headers, body.clone());
            self.kept = true;
        }
        Response::from_parts(parts, Body::from(body))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.replays.list().retain(|known| known.key != self.key);
        }
    }
}

fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}
