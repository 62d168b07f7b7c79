//! A session in a Redis hash: its fields by name, each a text, a document in JSON, or bytes.

use serde_json::Value;

use crate::session::codec::{bytes, json};
use crate::session::rejected::{Reason, Rejected};
use crate::session::store::Fields;

/// The first bytes of a serialized Java object (Java Object Serialization
/// Specification, section 6.4.2).
const JAVA: [u8; 4] = [0xac, 0xed, 0, 5];

/// The fields as members. Texts stay texts, whatever they look like, unless they are an
/// object or a list in JSON: a user could choose a name in quotes.
pub(super) fn session(fields: Fields) -> Result<Value, Rejected> {
    if fields.0.iter().any(|(_, value)| value.starts_with(&JAVA)) {
        let detail = "the hash holds serialized Java objects, as Spring Session writes them; let \
                      the app say who is signed in, with kind = \"introspect\"";
        return Err(Rejected::new(Reason::UnsupportedSerializer, detail));
    }
    let member = |(name, value): (Vec<u8>, Vec<u8>)| {
        let name = String::from_utf8(name).ok()?;
        let is_document = matches!(value.first(), Some(b'{' | b'['));
        let document = is_document.then(|| json::parse_python(&value).ok()).flatten();
        Some((name, document.unwrap_or_else(|| bytes::shown(&value))))
    };
    let members = fields.0.into_iter().map(member).collect::<Option<Vec<_>>>();
    let members = members.ok_or_else(|| Rejected::malformed("a field's name is not a string"))?;
    Ok(Value::Object(members.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(fields: &[(&[u8], &[u8])]) -> Fields {
        Fields(fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    #[test]
    fn fields_are_texts_documents_or_bytes() {
        let session = session(fields(&[
            (b"user_id", b"u-1"),
            (b"quoted", b"\"u-1\""),
            (b"number", b"7"),
            (b"data", b"{\"user\":{\"id\":7}}"),
            (b"broken", b"{\"user\":"),
            (b"bytes", b"\xff"),
        ]));
        let expected = json!({
            "user_id": "u-1", "quoted": "\"u-1\"", "number": "7", "data": { "user": { "id": 7 } },
            "broken": "{\"user\":", "bytes": { "base64": "/w==" },
        });
        assert_eq!(session.unwrap(), expected);
    }

    #[test]
    fn java_objects_are_refused_with_what_to_write_instead() {
        let refused = session(fields(&[
            (b"creationTime", b"\xac\xed\0\x05sr\0\x0ejava.lang.Long"),
            (b"sessionAttr:user", b"u-1"),
        ]));
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason, Reason::UnsupportedSerializer);
        assert!(refused.detail.contains("introspect"));
    }
}
