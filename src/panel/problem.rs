//! What an answer that is no success says (RFC 9457), and extractors whose refusals are such answers. Shell.

use crate::config;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// RFC 9457 problem details.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable code: `regia:…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is wrong and what to do, in a sentence for an operator.
    pub title: String,
    pub status: u16,
    /// Of a configuration that can't be used: all that is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<config::Problem>>)]
    pub problems: Option<serde_json::Value>,
}

/// An answer that is no success.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    code: &'static str,
    title: String,
    retry_after: Option<Duration>,
    problems: Option<serde_json::Value>,
}

impl Refused {
    pub fn new(status: StatusCode, code: &'static str, title: String) -> Self {
        Refused {
            status,
            code,
            title,
            retry_after: None,
            problems: None,
        }
    }

    pub fn bad(title: impl Into<String>) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, "bad-request", title.into())
    }

    pub fn not_found(code: &'static str, title: impl Into<String>) -> Self {
        Refused::new(StatusCode::NOT_FOUND, code, title.into())
    }

    pub fn conflict(code: &'static str, title: impl Into<String>) -> Self {
        Refused::new(StatusCode::CONFLICT, code, title.into())
    }

    /// When to try again.
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub fn because_of(mut self, problems: &[config::Problem]) -> Self {
        self.problems = serde_json::to_value(problems).ok();
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("regia:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            problems: self.problems,
        };
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            Json(problem),
        )
            .into_response();
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<crate::store::StoreError> for Refused {
    fn from(error: crate::store::StoreError) -> Self {
        Refused::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "store",
            error.to_string(),
        )
    }
}

/// A JSON body. None at all is an empty object.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json");
        let says_nothing = kind.is_empty();
        let bytes = Bytes::from_request(request, state).await.map_err(|error| {
            let status = error.status();
            Refused::new(
                status,
                "bad-body",
                format!("the body can't be read: {}", error.body_text()),
            )
        })?;
        if !(is_json || says_nothing && bytes.is_empty()) {
            let text = "the body must be JSON: send it with Content-Type: application/json";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refused::new(status, "not-json", text.to_owned()));
        }
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Body).map_err(|error| {
            if error.is_data() {
                let text = format!("the body does not fit: {}", without_quotes(&error));
                Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-body", text)
            } else {
                Refused::bad(format!("the body is not JSON: {}", without_quotes(&error)))
            }
        })
    }
}

/// What serde quotes of a body may be a secret in the wrong place.
fn without_quotes(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (
        text.find("invalid type: string"),
        text.find("invalid value: string"),
        text.find(", expected"),
    ) {
        (Some(_), _, Some(at)) | (_, Some(_), Some(at)) => {
            format!("a string stands in the wrong place{}", &text[at..])
        }
        _ => text,
    }
}

/// Parts of the path.
pub struct Segment<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Segment(value))
            .map_err(|_| Refused::bad("the path can't be read: percent-encode it as UTF-8"))
    }
}

/// What follows the question mark.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(value)| Params(value))
            .map_err(|error| Refused::bad(format!("the query does not fit: {}", error.body_text())))
    }
}
