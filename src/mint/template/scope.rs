//! The values placeholders read while one token is made.

use serde_json::Value;

use crate::mint::lifetime::Times;
use crate::mint::subject::Subject;

/// The values one token is made from.
#[derive(Clone, Copy)]
pub(in crate::mint) struct Scope<'a> {
    pub subject: &'a Subject<'a>,
    pub times: Times,
    /// Random texts, drawn once for each token.
    pub draws: &'a [String],
    pub variables: &'a [String],
    pub input: Option<&'a Value>,
    pub signature: Option<&'a str>,
    /// Further signatures of the same token.
    pub signatures: &'a [String],
    pub token: Option<&'a str>,
    /// The remote issuer's answer.
    pub answer: Option<&'a Value>,
    /// The token of an exchange's first call.
    pub first: Option<&'a str>,
    pub outgoing: Option<Outgoing<'a>>,
}

/// The request to a remote issuer, as far as it is complete.
#[derive(Clone, Copy)]
pub(in crate::mint) struct Outgoing<'a> {
    pub method: &'a str,
    pub host: &'a str,
    /// With the query.
    pub path: &'a str,
    pub body: &'a str,
}

impl<'a> Scope<'a> {
    pub(in crate::mint) fn new(
        subject: &'a Subject<'a>,
        times: Times,
        draws: &'a [String],
    ) -> Self {
        Self {
            subject,
            times,
            draws,
            variables: &[],
            input: None,
            signature: None,
            signatures: &[],
            token: None,
            answer: None,
            first: None,
            outgoing: None,
        }
    }

    /// For texts that depend on the user and the inputs alone.
    pub(in crate::mint) fn before_minting(subject: &'a Subject<'a>) -> Self {
        Self::new(subject, Times::default(), &[])
    }
}
