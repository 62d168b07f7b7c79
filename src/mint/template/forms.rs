//! Dates and percent-encoding, in each form a vendor asks for.

use std::time::{Duration, UNIX_EPOCH};

use crate::base::calendar::push_rfc3339;
use crate::base::text::{encode_uri_component, push_percent_encoded};

/// A form of `date`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// `20260101T000000Z` (ISO 8601, basic).
    Basic,
    /// `20260101`.
    Day,
    /// `Thu, 01 Jan 2026 00:00:00 GMT` (RFC 9110 section 5.6.7).
    Http,
    /// `2026-01-01T00:00:00Z`.
    Utc,
}

/// A form of `percent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Percent {
    /// As `encodeURIComponent` writes it.
    Component,
    /// In lower case, `~` and `'` included (Cloudinary, Akamai).
    Lower,
    /// All but `A-Za-z0-9-_.~` and the slash between segments.
    Path,
}

impl DateForm {
    /// Unix seconds before the year 10000; later ones have no form.
    pub(crate) fn text(self, unix: u64) -> Option<String> {
        const LATEST: u64 = 253_402_300_800;
        let unix = Some(unix).filter(|unix| *unix < LATEST)?;
        if self == Self::Http {
            return UNIX_EPOCH.checked_add(Duration::from_secs(unix)).map(httpdate::fmt_http_date);
        }
        let mut text = String::with_capacity(24);
        push_rfc3339(&mut text, unix * 1000);
        let utc = text.replace(".000Z", "Z");
        let basic = utc.replace(['-', ':'], "");
        Some(match self {
            Self::Basic => basic,
            Self::Day => basic.get(..8)?.to_owned(),
            Self::Http | Self::Utc => utc,
        })
    }
}

impl Percent {
    pub(super) fn text(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        match self {
            Self::Component => return encode_uri_component(text),
            Self::Lower => {
                push_percent_encoded(&mut out, text, b"!$()*+,-._");
                return lower_escapes(&out);
            }
            Self::Path => push_percent_encoded(&mut out, text, b"-_.~/"),
        }
        out
    }
}

/// The digits behind each `%` in lower case.
fn lower_escapes(text: &str) -> String {
    let mut left = 0;
    let lower = |c: char| {
        if c == '%' {
            left = 2;
            return c;
        }
        if left > 0 {
            left -= 1;
            return c.to_ascii_lowercase();
        }
        c
    };
    text.chars().map(lower).collect()
}
