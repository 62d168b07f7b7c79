//! Claims a session must hold: `require` of a session, `allow` of a route.

use crate::base::packed_json::PackedJson;
use crate::document::{At, FromNode};
use crate::session::pointer::Pointer;

/// Claims the session must hold: every pointer must lead to one of its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Vec<(Pointer, Vec<PackedJson>)>);

impl Claims {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the session holds every claim. A list in the session matches if
    /// any of its items does.
    pub(crate) fn admit(&self, session: &PackedJson) -> bool {
        self.0.iter().all(|(pointer, values)| match pointer.find(session) {
            Some(PackedJson::Array(items)) => items.iter().any(|item| values.contains(item)),
            Some(value) => values.contains(value),
            None => false,
        })
    }
}

impl FromNode for Claims {
    fn read(at: &At<'_>) -> Option<Self> {
        let mut claims = Vec::new();
        for (key, at) in at.members() {
            let Some(pointer) = Pointer::parse(&key.name) else {
                at.problem(r#"expected a JSON Pointer as the key, such as "/role" = ["admin"]"#);
                continue;
            };
            let values: Vec<_> =
                at.items().iter().map(|item| PackedJson::from(item.node.to_json())).collect();
            let scalar = |value: &PackedJson| {
                matches!(value, PackedJson::Bool(_) | PackedJson::Number(_) | PackedJson::Text(_))
            };
            if values.is_empty() || !values.iter().all(scalar) {
                at.problem(r#"expected one or more values, such as "/role" = ["admin", "editor"]"#);
            }
            claims.push((pointer, values));
        }
        Some(Self(claims))
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
    fn claims_match_values_and_items_of_lists() {
        let claims: Claims = read(&json!({"/role": ["admin", "editor"], "/org": "acme"})).unwrap();
        let admits = |session: Json| claims.admit(&PackedJson::from(session));
        assert!(admits(json!({"role": "editor", "org": "acme"})));
        assert!(admits(json!({"role": ["viewer", "admin"], "org": "acme"})));
        assert!(!admits(json!({"role": "viewer", "org": "acme"})));
        assert!(!admits(json!({"role": "admin"})));
        assert!(!admits(json!({"role": ["viewer"], "org": "acme"})));
    }
}
