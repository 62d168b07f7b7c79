//! The addresses under which one page can be served, read back from one path.
//!
//! Servers read one path differently (`/Admin`, `/admin;x`, `/x/..%2fadmin`), and frameworks
//! serve one page under several addresses (`/_next/data/BUILD/account.json`, `/de/account`,
//! `/account.data`). A rule protects the page, so it must know every path that some server or
//! framework makes of the one that came. `spelling` holds the habits of servers, `address`
//! those of frameworks, `query_pages` finds the pages that a query names, and `closure` applies
//! them all until nothing new comes of it.
//!
//! Pure. Letter case is not a reading: rules are compared without it.

mod address;
mod closure;
mod query_pages;
mod spelling;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use closure::{By, Readings, TooMany};
pub(crate) use spelling::{has_control, settled};
