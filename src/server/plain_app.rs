//! An application that is a function from a whole request to a response, as the
//! framework serves it.

use async_trait::async_trait;
use http::{HeaderValue, Request, Response, StatusCode, header};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;

/// Answers requests whose body is no longer than `max_body`.
pub(super) struct PlainApp<F> {
    pub(super) max_body: usize,
    pub(super) answer: F,
}

#[async_trait]
impl<F> ServeHttp for PlainApp<F>
where
    F: Fn(&Request<Vec<u8>>) -> Response<Vec<u8>> + Send + Sync,
{
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        match read_body(session, self.max_body).await {
            Ok(body) => {
                let parts = session.req_header().as_owned_parts();
                (self.answer)(&Request::from_parts(parts, body))
            }
            Err(refused) => {
                session.set_keepalive(None); // the rest of the body is not worth reading
                let mut response = Response::default();
                *response.status_mut() = refused.status();
                let nothing = HeaderValue::from_static("0");
                response.headers_mut().insert(header::CONTENT_LENGTH, nothing);
                response
            }
        }
    }
}

/// Why a request has no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    Incomplete,
    TooLarge,
}

impl BodyError {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

/// The whole body of a request, if it is no longer than `max`.
pub(super) async fn read_body(
    session: &mut ServerSession,
    max: usize,
) -> Result<Vec<u8>, BodyError> {
    let mut body = Vec::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(part)) if body.len() + part.len() <= max => body.extend_from_slice(&part),
            Ok(Some(_)) => return Err(BodyError::TooLarge),
            Ok(None) => return Ok(body),
            Err(_) => return Err(BodyError::Incomplete),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BODY: usize = 4096;

    fn answer(_: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        Response::default()
    }

    /// The answer to these bytes, and whether the connection may go on.
    async fn over_the_wire(request: String) -> (u16, bool) {
        let app = PlainApp { max_body: MAX_BODY, answer };
        let stream = std::io::Cursor::new(request.into_bytes());
        let mut session = ServerSession::new_http1(Box::new(stream));
        assert!(session.read_request().await.unwrap());
        session.set_keepalive(Some(60));
        let response = app.response(&mut session).await;
        (response.status().as_u16(), session.get_keepalive().is_some())
    }

    #[tokio::test]
    async fn a_form_is_read_up_to_its_bound_and_no_further() {
        let post = |length: usize, sent: usize| {
            let head =
                format!("POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            head + &format!("name=ada&pad={}", "x".repeat(sent - "name=ada&pad=".len()))
        };
        assert_eq!(over_the_wire(post(MAX_BODY, MAX_BODY)).await, (200, true));
        assert_eq!(over_the_wire(post(MAX_BODY + 1, MAX_BODY + 1)).await, (413, false));
        assert_eq!(over_the_wire(post(40, 20)).await, (400, false), "it broke off");
    }
}
