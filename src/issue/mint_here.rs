//! Minting without asking anybody, as a step of a request that is recorded.

use super::issuer::Issuer;
use super::request::Request;
use crate::mint::{MintError, Minting, Subject};
use crate::observe::{Event, StepEnded, StepKind};
use crate::policy::TokenRoute;

impl Issuer {
    /// The part of minting that asks nobody: all of it, or what to ask. A call is a step of
    /// its own.
    pub(super) fn mint_here(
        &self,
        route: &TokenRoute,
        subject: &Subject<'_>,
        request: &Request<'_>,
    ) -> Result<Minting, MintError> {
        let Some(recorded) = request.recorded else {
            return route.minter.mint(subject, request.now);
        };
        let step = recorded.step(self.remote.clock.now());
        let minted = route.minter.mint(subject, request.now);
        let error = minted.as_ref().err().map_or("", MintError::code);
        if matches!(minted, Ok(Minting::Ready(_)) | Err(_)) {
            let what = StepKind::Mint { token: &route.name, error };
            let ended = self.remote.clock.now();
            self.telemetry.emit(Event::Step(&StepEnded { step, what, ended }));
        }
        minted
    }
}
