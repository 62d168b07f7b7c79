//! Gates in front of the gateway that have signed the user in already, and say so in a
//! header: with a signed token, or with the bare name.

pub(super) mod aws_alb;
pub(super) mod cloudflare_access;
pub(super) mod google_iap;
pub(super) mod pomerium;
mod signed;
pub(super) mod trusted_header;
