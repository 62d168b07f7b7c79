//! `sign_in` of a route: the page of the app that signs people in.

use crate::base::text::push_percent_encoded;
use crate::document::template_syntax::{Piece, pieces};
use crate::document::{At, FromNode};

/// Where a page opened without a session is sent: a path of the app, with `{path}`
/// for where the user wanted to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignInPage(Vec<LocationPart>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum LocationPart {
    Literal(String),
    /// Path and query of the request.
    Target,
}

impl SignInPage {
    /// The redirect for someone who wanted `target` (path and query).
    pub(crate) fn location(&self, target: &str) -> String {
        // Browsers read `//x` and `/\x` as another site.
        let path = target.trim_start_matches(['/', '\\']);
        let target = format!("/{path}");
        let mut location = String::new();
        for part in &self.0 {
            match part {
                LocationPart::Literal(literal) => location.push_str(literal),
                LocationPart::Target => push_percent_encoded(&mut location, &target, b"-._~/"),
            }
        }
        location
    }
}

impl FromNode for SignInPage {
    fn read(at: &At<'_>) -> Option<Self> {
        const EXPECTED: &str = r#"a path of the app such as "/login?next={path}""#;
        let text = at.text(EXPECTED)?;
        let is_local =
            text.starts_with('/') && !text.starts_with("//") && !text.contains(['\\', ' ']);
        let parts = pieces(text).ok().filter(|_| is_local);
        let sign_in = parts.and_then(|parts| parts.into_iter().map(part).collect()).map(Self);
        if sign_in.is_none() {
            at.wrong(EXPECTED);
        }
        sign_in
    }
}

fn part(piece: Piece) -> Option<LocationPart> {
    match piece {
        Piece::Literal(literal) => Some(LocationPart::Literal(literal)),
        Piece::Reference(reference) => match reference.bare()? {
            [name] if name == "path" => Some(LocationPart::Target),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::base::secret::Secrets;
    use crate::document::{Node, Problems};

    fn read<T: FromNode>(json: &Json) -> Option<T> {
        let (node, problems) = (Node::from_json(json), Problems::default());
        let read = T::read(&At::new(&node, "", &problems, &Secrets::Literal));
        read.filter(|_| problems.is_empty())
    }

    #[test]
    fn sign_in_leads_to_a_path_of_this_site_and_escapes_where_from() {
        let sign_in: SignInPage = read(&json!("/login?next={path}&x=1")).unwrap();
        assert_eq!(sign_in.location("/a b?c=d&e=//x"), "/login?next=/a%20b%3Fc%3Dd%26e%3D//x&x=1");
        for elsewhere in ["https://evil", "//evil", "login", "/\\evil", "/l?{next}"] {
            assert!(read::<SignInPage>(&json!(elsewhere)).is_none(), "{elsewhere}");
        }
    }

    #[test]
    fn braces_mean_the_same_as_in_every_template() {
        let literal: SignInPage = read(&json!("/l?{{a}}={path}")).unwrap();
        assert_eq!(literal.location("/x"), "/l?{a}=/x");
        for template in ["/l?{path|json}", "/l?{path?}", "/l?{path.x}", "/l ?{path}"] {
            assert!(read::<SignInPage>(&json!(template)).is_none(), "{template}");
        }
    }
}
