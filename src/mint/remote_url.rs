//! Addresses with placeholders that the gateway itself asks: an issuer, the grant hook.
//!
//! Values of a user or a session never choose the server: placeholders stand behind
//! it, each value stays one piece of the path or the query, and none is a dot segment.

use std::borrow::Cow;

use super::error::MintError;
use super::template::{self, Names, Scope, Text};
use crate::base::text::encode_uri_component;
use crate::base::url::Url;
use crate::document::At;
use crate::document::template_syntax::{Piece, Reference, pieces};

/// An address whose server is fixed.
pub(super) struct RemoteUrl {
    text: Text,
    /// The address up to its first placeholder.
    server: Url,
}

/// Why an address cannot be filled in for one request.
pub(super) enum UrlUnfit {
    Absent,
    DotSegment,
    Refused(MintError),
}

impl RemoteUrl {
    /// Reads a URL with placeholders; `example` is one that would do.
    pub(super) fn from_node(at: &At<'_>, names: &Names<'_>, example: &str) -> Option<Self> {
        let text = at.text(&format!("a URL such as {example:?}"))?;
        let pieces = pieces(text).map_err(|wrong| at.problem(wrong)).ok()?;
        let pieces = with_fixed(pieces, names);
        let Some(server) = fixed_server(&pieces) else {
            note_open_server(at, &pieces, names, example);
            return None;
        };
        Some(Self { text: template::url_text(at, names)?, server })
    }

    /// The address with nothing in place of its placeholders: enough to know the server.
    pub(super) fn server(&self) -> &Url {
        &self.server
    }

    /// The address for one request.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<String, UrlUnfit> {
        let url = self.text.encoded(scope, encode_uri_component).map_err(UrlUnfit::Refused)?;
        let url = url.ok_or(UrlUnfit::Absent)?;
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(UrlUnfit::DotSegment);
        }
        Ok(url)
    }
}

/// Notes why no server is fixed. A value that the operator has not written yet is reported
/// missing as elsewhere; for a wrong one, the problem names the value, not the address.
fn note_open_server(at: &At<'_>, pieces: &[Piece], names: &Names<'_>, example: &str) {
    let is_reference = |piece: &Piece| matches!(piece, Piece::Reference(_));
    let open = || {
        format!(
            "the server must be fixed: placeholders are allowed only in the path and the query, \
             such as {example:?}"
        )
    };
    match operators_part(pieces) {
        Some(reference) if names.lacks(reference) => drop(template::url_text(at, names)),
        Some(reference) if reference.root() == "param" => names.token.problem(format!(
            "`params.{}` is part of the server's name, and the server must be fixed: write \
             letters, digits, `-` and `.`, the same for every user",
            reference.rest().join(".")
        )),
        Some(_) => at.problem(open()),
        None if pieces.iter().any(is_reference) => at.problem(open()),
        None => {
            at.problem(format!("found an unusable URL, expected one such as {example:?}"));
        }
    }
}

/// The operator's own value that keeps the server's name from being complete.
fn operators_part(pieces: &[Piece]) -> Option<&Reference> {
    let [Piece::Literal(start), Piece::Reference(reference), ..] = pieces else { return None };
    is_in_server(start).then_some(reference).filter(|reference| {
        reference.bare().is_some() && matches!(reference.root(), "key" | "param")
    })
}

/// The pieces, with the server's placeholders filled in that are the operator's own
/// values: a region, an account. Values of a user or a session stay placeholders.
fn with_fixed(pieces: Vec<Piece>, names: &Names<'_>) -> Vec<Piece> {
    let mut whole: Vec<Piece> = Vec::new();
    for piece in pieces {
        let text = match piece {
            Piece::Literal(text) => text,
            Piece::Reference(reference) => match fixed_host(&whole, &reference, names) {
                Some(text) => text,
                None => {
                    whole.push(Piece::Reference(reference));
                    continue;
                }
            },
        };
        match whole.last_mut() {
            Some(Piece::Literal(before)) => before.push_str(&text),
            Some(Piece::Reference(_)) | None => whole.push(Piece::Literal(text)),
        }
    }
    whole
}

/// A part of the server's name, if the server is not complete yet.
fn fixed_host(before: &[Piece], reference: &Reference, names: &Names<'_>) -> Option<String> {
    let [Piece::Literal(start)] = before else { return None };
    if !is_in_server(start) || reference.bare().is_none() {
        return None;
    }
    let text = names.fixed_text(reference)?;
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    (!text.is_empty() && text.chars().all(is_host)).then_some(text)
}

/// The address up to its first placeholder, if the server before it is complete.
fn fixed_server(pieces: &[Piece]) -> Option<Url> {
    let [Piece::Literal(start), more @ ..] = pieces else { return None };
    if !more.is_empty() && is_in_server(start) {
        return None;
    }
    start.contains("://").then(|| Url::parse(start))?
}

/// Whether the text after `start` is still part of the server.
fn is_in_server(start: &str) -> bool {
    start.split_once("://").is_some_and(|(_, server)| !server.contains(['/', '?']))
}

impl UrlUnfit {
    /// The refusal, made of its text by `refusal`.
    pub(super) fn into_error(
        self,
        name: &'static str,
        refusal: fn(Cow<'static, str>) -> MintError,
    ) -> MintError {
        match self {
            Self::Absent => refusal(format!("one part of {name} has no value").into()),
            Self::DotSegment => refusal(format!("one part of {name} is a dot segment").into()),
            Self::Refused(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_complete_before_the_first_placeholder() {
        let server = |text| fixed_server(&pieces(text).unwrap()).map(|url| url.host().to_owned());
        for text in [
            "https://a.example",
            "https://a.example/",
            "https://a.example/{request.x}",
            "https://a.example:8443/v1?x={request.x}",
            "https://a.example?x={request.x}",
            "http://a.example/x{session.y}",
        ] {
            assert_eq!(server(text).as_deref(), Some("a.example"), "{text}");
        }
        for text in [
            "https://{request.h}/t",
            "https://a.example{request.h}/t",
            "https://a.example{request.h}",
            "https://a.example:{request.h}/t",
            "https://a.example:8{request.h}/t",
            "https://{request.h}@a.example/t",
            "https://u:{request.h}@a.example/t",
            "https://a.example@b.example/t",
            "https://a.example#{request.h}",
            "https://a.example\\{request.h}/",
            "https://{param.site}.a.example/t",
            "https://a.example.{session.region}/t",
            "{request.scheme}://a.example/t",
            "{param.base}/t",
            "https:/{request.h}/t",
            "https:///{request.h}/t",
            "https://{{x}}/t",
            "ftp://a.example/",
            "a.example/{request.h}",
            "",
        ] {
            assert_eq!(server(text), None, "{text}");
        }
    }
}
