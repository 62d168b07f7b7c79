//! Exchanges of two calls, of which the first one serves all users.

use http::StatusCode;

use super::circuit_breaker::first_call;
use super::error::IssueError;
use super::first_answers::Age;
use super::issuer::{Issuer, answered, logged};
use super::request::TokenRequest;
use crate::mint::{self, FirstAnswer, Minter, Minting, Subject, Token};
use crate::policy::TokenRoute;

impl Issuer {
    /// Makes the two calls of an exchange, the first one only if no answer to it is kept. A
    /// kept answer that the vendor no longer takes is replaced, once.
    pub(super) async fn mint_in_two(
        &self,
        route: &TokenRoute,
        subject: &Subject<'_>,
        request: &TokenRequest<'_>,
        first: mint::Call,
    ) -> Result<Token, IssueError> {
        let (now, recorded) = (request.now, request.recorded);
        let key = route.minter.first_key();
        let ask = self.first(route, first, request);
        let (kept, age) = self.first_answers.get(key, now, ask).await?;
        let call = async |first: &FirstAnswer| {
            let token = first.token.clone();
            let work = move |it: &Minter, on: &Subject<'_>| it.call_with(on, &token, now);
            let call = self.with_minter(route, subject, work).await;
            call.map_err(|error| logged(&error, route))
        };
        let answer = self.remote.call(&route.name, call(&kept).await?, recorded).await?;
        if answer.0 != StatusCode::UNAUTHORIZED {
            return answered(route, subject, now, answer);
        }
        self.first_answers.forget(&key).await;
        let again = match age {
            Age::Kept => {
                let again = self.with_minter(route, subject, move |it, on| it.mint(on, now)).await;
                again.map_err(|error| logged(&error, route))?
            }
            Age::New => return answered(route, subject, now, answer),
        };
        let Minting::First(first) = again else { return Err(IssueError::IssuerFailed) };
        let ask = self.first(route, first, request);
        let (new, _) = self.first_answers.get(key, now, ask).await?;
        let answer = self.remote.call(&route.name, call(&new).await?, recorded).await?;
        answered(route, subject, now, answer)
    }

    /// The first call of an exchange, whose issuer has its own circuit.
    async fn first(
        &self,
        route: &TokenRoute,
        call: mint::Call,
        request: &TokenRequest<'_>,
    ) -> Result<FirstAnswer, IssueError> {
        let name = first_call(&route.name);
        let (status, body) = self.remote.call(&name, call, request.recorded).await?;
        let answer = route.minter.first_answered(status, &body, request.now);
        answer.map_err(|error| logged(&error, route))
    }
}
