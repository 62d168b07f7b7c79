//! Shadow mode: a request for a token goes to the app's own route as before; copies of it and
//! of the app's answer are compared with the gateway's, after the answer has been sent.
//!
//! Nothing here touches the request or the answer, and nothing waits for the comparison.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use super::incoming::Incoming;
use super::purpose::Purpose;
use crate::base::clock::Now;
use crate::decide::{self, Decision};
use crate::issue::TokenQuestion;
use crate::issue::shadow::{self, AppAnswer, GatewayAnswer, Minted, Skipped};
use crate::policy::TokenRoute;
use crate::request::refusal::{Refusal, RequestPart};
use crate::request::trace::Trace;

/// Copies of a request and of the app's answer to it.
pub(super) struct Shadow {
    token: Arc<TokenRoute>,
    head: RequestHeader,
    /// Of the request; empty where the token does not read it.
    body: Vec<u8>,
    body_length: usize,
    answer: Option<(AppAnswer, Now)>,
}

impl Shadow {
    /// `head` is the request's as it was admitted.
    pub(super) fn begin(token: &Arc<TokenRoute>, head: &RequestHeader) -> Box<Self> {
        let (token, head) = (token.clone(), head.clone());
        Box::new(Self { token, head, body: Vec::new(), body_length: 0, answer: None })
    }

    /// Keeps a piece of the request's body, `most` octets at most.
    pub(super) fn request_piece(&mut self, piece: &Bytes, most: usize) {
        self.body_length = self.body_length.saturating_add(piece.len());
        if self.body_length <= most && self.token.minter.inputs().reads_body() {
            self.body.extend_from_slice(piece);
        }
    }

    /// The pieces of the request's body will come again.
    pub(super) fn forget_request(&mut self) {
        self.body_length = 0;
        self.body.clear();
    }

    /// The app has begun to answer.
    pub(super) fn answer_begins(&mut self, response: &ResponseHeader, incoming: &Incoming) {
        let answer = AppAnswer::begin(response.status, &response.headers);
        self.answer = Some((answer, incoming.state.clock.now()));
    }

    /// Keeps a piece of the answer's body.
    pub(super) fn answer_piece(&mut self, piece: &Bytes) {
        if let Some((answer, _)) = &mut self.answer {
            answer.piece(piece);
        }
    }
}

/// How the app's answer ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    CutOff,
    Whole,
}

/// The request has ended: starts the comparison.
pub(super) fn compare(shadow: Shadow, incoming: &mut Incoming, ended: Ended) {
    let Shadow { token, head, body, body_length, answer } = shadow;
    let now = answer.as_ref().map_or(incoming.now, |(_, now)| *now);
    let has_body = incoming.purpose == Purpose::Request
        && ![Method::HEAD, Method::OPTIONS].contains(&head.method);
    let compared = Incoming {
        state: incoming.state.clone(),
        policy: incoming.policy.clone(),
        now,
        trace: Trace::new(),
        recorded: None,
        sender: std::mem::take(&mut incoming.sender),
        purpose: Purpose::Request,
    };
    let answer = match (answer, ended) {
        _ if !has_body => Err(Skipped::NoBody),
        (Some((answer, _)), Ended::Whole) => Ok(answer),
        (Some(_) | None, _) => Err(Skipped::CutOff),
    };
    let request = Request { token, head, body, body_length };
    let state = incoming.state.clone();
    state.spawn(async move {
        let state = &compared.state;
        let permit = state.shadows.enter();
        let found = match (answer, &permit) {
            (Err(skipped), _) => Err(skipped),
            (Ok(_), None) => Err(Skipped::Busy),
            (Ok(answer), Some(_)) => {
                let minter = &request.token.minter;
                let gateway = request.gateway_answer(&compared).await;
                gateway.and_then(|gateway| shadow::compare(minter, &answer, &gateway, now))
            }
        };
        state.shadows.record(&state.telemetry, &request.token.name, &found, now);
    });
}

/// A request as the gateway would have had to answer it.
struct Request {
    token: Arc<TokenRoute>,
    head: RequestHeader,
    body: Vec<u8>,
    body_length: usize,
}

impl Request {
    async fn gateway_answer(&self, incoming: &Incoming) -> Result<GatewayAnswer, Skipped> {
        let Incoming { policy, .. } = incoming;
        let view = incoming.view(&self.head);
        let statuses = self.token.minter.statuses();
        match self.minted(incoming).await? {
            Ok(minted) => {
                let reader = decide::reader(policy, policy.own(view.path), &view);
                Ok(GatewayAnswer::Issued { minted, allows_origin: reader.is_some() })
            }
            Err(refusal) => {
                let code = refusal.code();
                let status: StatusCode = statuses.of(code).unwrap_or_else(|| refusal.status());
                Ok(GatewayAnswer::Refused { status, code })
            }
        }
    }

    /// The steps of the endpoint: plan, session, decide, mint.
    async fn minted(&self, incoming: &Incoming) -> Result<Result<Minted, Refusal>, Skipped> {
        let Incoming { state, policy, now, .. } = incoming;
        let view = incoming.view(&self.head);
        let plan = decide::plan_token(policy, &self.token, &view);
        let (cookies, from) = (view.cookies(), view.client.address);
        let judged = state.identifier.identify(policy, cookies, from, *now).await;
        let credential = policy.credential(judged.accepted);
        match decide::decide(plan, Some(judged.verdict), credential, &view) {
            Decision::Refuse(refusal, _) => Ok(Err(refusal)),
            Decision::Issue { .. } if self.body_length > policy.limits.token_body => {
                Ok(Err(Refusal::TooLarge(RequestPart::Body)))
            }
            Decision::Issue { token, identity } => {
                let query = TokenQuestion::new(token, &view, *now);
                let minted = state.issuer.mint_beside(token, query, &identity, &self.body);
                Ok(minted.await)
            }
            Decision::Answer(..) | Decision::Forward { .. } | Decision::Publish(_) => {
                Err(Skipped::NoBody)
            }
        }
    }
}
