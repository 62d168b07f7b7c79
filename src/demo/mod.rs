//! The sample app behind `portcullis demo`: what a newcomer sees first.

mod app;
mod page;
mod settings;
mod sign_in;
#[cfg(test)]
mod tests;

pub(crate) use app::{MAX_BODY, SampleApp};
pub(crate) use settings::{API_KEY, SESSION_SECRET, settings};
