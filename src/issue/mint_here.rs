//! Minting without a call to another server, as a recorded step of a request.
//!
//! A signature with RSA takes milliseconds: it is made aside, and the thread that serves
//! this request serves others meanwhile.

use super::issuer::Issuer;
use super::request::TokenRequest;
use crate::mint::{MintError, Minter, Minting, Subject};
use crate::observe::{Event, StepEnded, StepKind};
use crate::policy::TokenRoute;

impl Issuer {
    /// The part of minting that asks no other server: all of it, or what to ask. A call is
    /// a step of its own.
    pub(super) async fn mint_here(
        &self,
        route: &TokenRoute,
        subject: &Subject<'_>,
        request: &TokenRequest<'_>,
    ) -> Result<Minting, MintError> {
        let now = request.now;
        let minting = self.with_minter(route, subject, move |it, subject| it.mint(subject, now));
        let Some(recorded) = request.recorded else { return minting.await };
        let step = recorded.step(self.remote.clock.now());
        let minted = minting.await;
        let error = minted.as_ref().err().map_or("", MintError::code);
        if matches!(minted, Ok(Minting::Ready(_)) | Err(_)) {
            let what = StepKind::Mint { token: &route.name, error };
            let ended = self.remote.clock.now();
            self.telemetry.emit(Event::Step(&StepEnded { step, what, ended }));
        }
        minted
    }

    /// Lets the minter work for a subject: here, or aside if that takes long.
    pub(super) async fn with_minter<T: Send + 'static>(
        &self,
        route: &TokenRoute,
        subject: &Subject<'_>,
        work: impl FnOnce(&Minter, &Subject<'_>) -> Result<T, MintError> + Send + 'static,
    ) -> Result<T, MintError> {
        if !route.minter.is_slow() {
            return work(&route.minter, subject);
        }
        let (minter, identity) = (route.minter.clone(), subject.identity.clone());
        let (inputs, grant) = (subject.inputs.clone(), subject.grant.clone());
        let work =
            move || work(&minter, &Subject { identity: &identity, inputs: &inputs, grant: &grant });
        let done = self.signing.run(work).await;
        done.unwrap_or_else(|error| Err(MintError::Unavailable(error.to_string().into())))
    }
}
