//! The same question over gRPC, as Envoy and gateways built on it ask it.
//!
//! A yes also names the client's headers that must not reach the app: unlike over HTTP,
//! they can be removed instead of refusing the request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::prelude::{Result, Session};

use super::auth::{self, AuthAnswer};
use super::context::Ctx;
use super::reply::{self, Body};
use crate::request::ext_authz::{CHECK, CheckRequest, CheckResponse};
use crate::request::refusal::{Refusal, Reply};
use crate::request::view::RequestLimits;

/// Largest question, in bytes: the head of a request, and what surrounds it.
const LARGEST: usize = 512 * 1024;

/// Status codes of gRPC.
const OK: &str = "0";
const INVALID_ARGUMENT: &str = "3";
const PERMISSION_DENIED: &str = "7";

fn is_check(session: &Session) -> bool {
    let head = session.req_header();
    head.method == Method::POST && head.uri.path() == CHECK
}

/// Answers such a question; false if this is none.
pub(super) async fn serve(session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    if !is_check(session) {
        return Ok(false);
    }
    answer(session, ctx).await?;
    Ok(true)
}

async fn answer(session: &mut Session, ctx: &mut Ctx) -> Result<()> {
    let limits = RequestLimits { token_body: LARGEST, ..ctx.incoming.policy.limits };
    if let Err(refusal) = ctx.incoming.admit_front(session) {
        return refuse(session, ctx, &refusal, PERMISSION_DENIED).await;
    }
    let body = match reply::read_body(session, Body::Kept, &limits).await? {
        Ok(body) => body,
        Err(refusal) => return refuse(session, ctx, &refusal, INVALID_ARGUMENT).await,
    };
    let Some(http) = CheckRequest::read(&body) else {
        const NO_CHECK: Refusal = Refusal::BadRequest("the message is not a CheckRequest");
        return refuse(session, ctx, &NO_CHECK, INVALID_ARGUMENT).await;
    };
    let (answer, foreign) = match ctx.incoming.admit_check(session, &http) {
        Ok((asked, foreign)) => (auth::answer_about(ctx, asked).await, foreign),
        Err(refusal) => (AuthAnswer::No(ctx.refuse(&refusal)), Vec::new()),
    };
    let response = match answer {
        AuthAnswer::Yes(told) => allow(&told, foreign),
        AuthAnswer::No(reply) => deny(ctx, reply),
    };
    write(session, Some(response), OK).await
}

/// Headers with a value are set, the rest removed.
fn allow(told: &HeaderMap, foreign: Vec<HeaderName>) -> CheckResponse {
    let (set, empty): (Vec<_>, Vec<_>) = told.iter().partition(|(_, value)| !value.is_empty());
    let names = empty.into_iter().map(|(name, _)| name.clone()).chain(foreign);
    CheckResponse::allow(texts(set.into_iter()), names.map(|name| name.to_string()).collect())
}

fn deny(ctx: &mut Ctx, reply: Reply) -> CheckResponse {
    let Reply { status, mut headers, body } = reply;
    ctx.record.status = status.as_u16();
    let (name, id) = ctx.incoming.trace.request_id_field();
    headers.insert(name, id);
    let body = String::from_utf8_lossy(&body).into_owned();
    CheckResponse::deny(status.as_u16(), texts(headers.iter()), body)
}

fn texts<'h>(
    headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>,
) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.map(|(name, value)| (name.to_string(), text(value))).collect()
}

async fn refuse(
    session: &mut Session,
    ctx: &mut Ctx,
    refusal: &Refusal,
    code: &'static str,
) -> Result<()> {
    let reply = ctx.refuse(refusal);
    ctx.record.status = reply.status.as_u16();
    write(session, None, code).await
}

/// One message, or none, and the status in trailers.
async fn write(
    session: &mut Session,
    message: Option<CheckResponse>,
    code: &'static str,
) -> Result<()> {
    const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
    const STATUS: HeaderName = HeaderName::from_static("grpc-status");
    let Reply { status, mut headers, .. } = Reply::new(StatusCode::OK, GRPC, Bytes::new());
    let Some(message) = message else {
        headers.insert(STATUS, HeaderValue::from_static(code));
        return session.write_response_header(Box::new(reply::head(status, headers)), true).await;
    };
    session.write_response_header(Box::new(reply::head(status, headers)), false).await?;
    session.write_response_body(Some(message.framed()), false).await?;
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static(code))]);
    session.as_downstream_mut().write_response_trailers(trailers).await
}
