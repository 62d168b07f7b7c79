//! Pages with placeholders: the request to the app for a readable page, and the
//! replacement of placeholders by tokens in its answer.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Result;

use super::forwarding::Forwarding;
use crate::policy::HtmlPlaceholder;
use crate::request::html_placeholder::{Replacer, is_safe_in_a_page};

/// Conditional and range headers: their responses are partial, or cached with another
/// user's token.
const NOT_FOR_PAGES: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
];

/// Tells the app the value of `{nonce}` in the texts of its page. No client's header of
/// this name passes.
const NONCE: HeaderName = HeaderName::from_static("x-portcullis-nonce");

/// Headers that no longer hold for a changed page.
const OF_THE_WHOLE_PAGE: [HeaderName; 14] = [
    header::ACCEPT_RANGES,
    header::AGE,
    header::CONTENT_LENGTH,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("x-accel-expires"),
];

/// How a route with placeholders treats an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// Its placeholders must be replaced.
    Filled,
    /// Left as the app sent it.
    Unchanged,
}

impl Forwarding {
    /// Asks for a whole, uncompressed page.
    pub(super) fn ask_for_page(&self, method: &Method, headers: &mut HeaderMap) {
        let may_be_page = [Method::GET, Method::HEAD, Method::POST].contains(method);
        if self.routes.placeholders().next().is_none() || !may_be_page {
            return;
        }
        for name in &NOT_FOR_PAGES {
            headers.remove(name);
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Ok(mut nonce) = HeaderValue::from_str(&self.nonce)
            && !self.nonce.is_empty()
        {
            nonce.set_sensitive(true);
            headers.insert(NONCE, nonce);
        }
    }

    /// For a page with placeholders: makes the headers true of the page as it will be
    /// after they are replaced.
    pub(super) fn begin_page(
        &self,
        request: &RequestHeader,
        response: &mut ResponseHeader,
    ) -> Result<Page> {
        if self.routes.placeholders().next().is_none() || !is_page(response) {
            return Ok(Page::Unchanged);
        }
        if !is_readable(response) {
            let route = self.routes.label().map_or("-", |label| label);
            tracing::warn!(
                route,
                "a page arrived compressed although the gateway did not accept that; its \
                 placeholders stay"
            );
            return Ok(Page::Unchanged);
        }
        for name in &OF_THE_WHOLE_PAGE {
            response.remove_header(name);
        }
        response
            .insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"))?;
        if request.version == Version::HTTP_11 && request.method != Method::HEAD {
            let chunked = HeaderValue::from_static("chunked");
            response.insert_header(header::TRANSFER_ENCODING, chunked)?;
        }
        let is_head = request.method == Method::HEAD;
        Ok(if is_head { Page::Unchanged } else { Page::Filled })
    }

    /// A placeholder without its token is replaced by nothing.
    pub(super) fn replacer(&self) -> Replacer {
        let value = |placeholder: &HtmlPlaceholder| {
            let name = &placeholder.token.name;
            let found = self.page_tokens.iter().find(|(token, _)| token == name);
            let value =
                found.map(|(_, token)| Bytes::copy_from_slice(token.value())).unwrap_or_default();
            if is_safe_in_a_page(&value) {
                return value;
            }
            tracing::warn!(
                token = name,
                "the token has characters that a page cannot carry; it is left out"
            );
            Bytes::new()
        };
        // Without a nonce, a text that needs one would be the same for every user.
        let is_known = |one: &&HtmlPlaceholder| !one.has_nonce() || !self.nonce.is_empty();
        let placeholders = self.routes.placeholders().filter(is_known);
        let pairs = placeholders.map(|one| (one.text_for(&self.nonce), value(one)));
        Replacer::new(pairs)
    }

    /// Replaces placeholders in a piece of the page. `None` is nothing to send: an
    /// empty piece would end the page where pieces are counted.
    pub(super) fn page_piece(&mut self, body: &mut Option<Bytes>, is_last: bool) {
        let Some(page) = &mut self.page else { return };
        let mut piece = body.take().map_or_else(Bytes::new, |piece| page.push(piece));
        if is_last {
            let rest = page.finish();
            piece = if piece.is_empty() { rest } else { Bytes::from([piece, rest].concat()) };
        }
        *body = Some(piece).filter(|piece| !piece.is_empty());
    }
}

/// Whether this is a whole page, as a browser would show it: a form that is returned
/// with its mistakes (422) needs its token as well.
fn is_page(response: &ResponseHeader) -> bool {
    const NOT_WHOLE: [StatusCode; 4] = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::PARTIAL_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    let is_whole = !response.status.is_informational() && !NOT_WHOLE.contains(&response.status);
    let kind = response.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.split(|&b| b == b';').next()).map(<[u8]>::trim_ascii);
    is_whole && kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

fn is_readable(response: &ResponseHeader) -> bool {
    let codings = response.headers.get_all(header::CONTENT_ENCODING);
    codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}
