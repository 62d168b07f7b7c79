//! The sample app behind `portcullis demo`: what a newcomer sees first.

mod app;
mod page;
mod settings;
mod sign_in;
#[cfg(test)]
mod tests;

pub use app::{MAX_BODY, SampleApp};
pub use settings::{API_KEY, SESSION_SECRET, settings};
