//! Parts of a request as types that cannot be wrong; what does not fit is a problem document.

use axum::extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection};
use axum::http::{HeaderMap, HeaderName, request};
use serde::de::DeserializeOwned;

use super::error::Error;

/// One path parameter, parsed.
#[derive(Debug)]
pub(super) struct Id<T>(pub T);

impl<S, T> FromRequestParts<S> for Id<T>
where
    S: Send + Sync,
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Error> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state)
                .await
                .map_err(|error| Error::bad_id(error.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| {
            let mut detail = error.to_string();
            detail.push('.');
            Error::bad_id(detail)
        })
    }
}

/// The query string.
#[derive(Debug)]
pub(super) struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut request::Parts, _: &S) -> Result<Self, Error> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| Error::bad_query(error.body_text()))
    }
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        axum::Json::from_request(request, state)
            .await
            .map(|axum::Json(value)| Self(value))
            .map_err(|rejection: JsonRejection| {
                Error::bad_body(rejection.status(), rejection.body_text())
            })
    }
}

/// A header's value, if it is there and visible ASCII.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
