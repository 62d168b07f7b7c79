//! Fields of the session in texts that match many texts: keys with wildcards, names a
//! browser completes.
//!
//! `"{session.org_id}-*"` as a key, or `"{session.org_id}-{request.room}"` as a room: an
//! org `acme-corp` would share them with `acme`. `separation` says why, and what a field
//! may not hold; here the parts of a template are checked.

use super::tree::{Placeholder, TextPart};
use crate::mint::separation::{self, Piece, Unseparated};

/// Gives every field of the session the characters that end it.
pub(super) fn separate(parts: &mut [TextPart]) -> Result<(), Unseparated> {
    let mut pieces = Vec::new();
    let mut has_wildcard = false;
    for part in parts.iter() {
        match part {
            TextPart::Literal(literal) => {
                let cut = separation::at_wildcards(literal);
                has_wildcard |= cut.contains(&Piece::Any);
                pieces.extend(cut);
            }
            TextPart::Value(placeholder) if placeholder.is_raw_field() => pieces.push(Piece::Field),
            TextPart::Value(placeholder) if placeholder.is_raw() => pieces.push(Piece::Any),
            // Of the gateway's or the app's own making.
            TextPart::Secret(_) | TextPart::Value(_) => pieces.push(Piece::Literal("\0")),
        }
    }
    if !pieces.contains(&Piece::Any) {
        return Ok(());
    }
    let ends = separation::ends(&pieces)?;
    let is_expression = is_regular_expression(parts);
    for (placeholder, ends) in parts.iter_mut().filter_map(field).zip(ends) {
        let found = match (is_expression, has_wildcard) {
            (true, _) => ends.of_expression(),
            (false, true) => ends,
            (false, false) => ends.of_title(),
        };
        placeholder.ends = found.where_before(placeholder.ends);
    }
    Ok(())
}

fn field(part: &mut TextPart) -> Option<&mut Placeholder> {
    match part {
        TextPart::Value(placeholder) if placeholder.is_raw_field() => Some(placeholder),
        TextPart::Literal(_) | TextPart::Secret(_) | TextPart::Value(_) => None,
    }
}

/// Whether the text looks like a regular expression, where `|` or `.` in a value would
/// match more.
fn is_regular_expression(parts: &[TextPart]) -> bool {
    let mut literals = parts.iter().filter_map(|part| match part {
        TextPart::Literal(literal) => Some(literal.as_str()),
        TextPart::Secret(_) | TextPart::Value(_) => None,
    });
    literals.any(|text| text.starts_with('^') || text.contains(".*") || text.contains(".+"))
}
