//! PHP-serialized objects that are strings inside a session, as Symfony keeps its security
//! token. They are read as data: names, texts and numbers.

use serde_json::{Map, Value};

use super::{bytes, php};

/// The namespace of Symfony's own tokens.
const SYMFONY: &str = "Symfony\\Component\\Security\\";

/// Deepest nesting of a token's state in that of its parents.
const MAX_PARENTS: usize = 4;

/// The same session, with each text that is a serialized object read.
pub(crate) fn unfold(value: Value) -> Value {
    if let Some(object) = object(&value) {
        return object;
    }
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(unfold).collect()),
        Value::Object(members) => {
            let unfolded = members.into_iter().map(|(name, value)| (name, unfold(value)));
            Value::Object(unfolded.collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value,
    }
}

/// A text that is a serialized object, read.
fn object(value: &Value) -> Option<Value> {
    let is_candidate = match value {
        Value::String(text) => text.starts_with("O:"),
        // Bytes that are not UTF-8.
        Value::Object(members) => members.len() == 1 && members.contains_key("base64"),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => false,
    };
    let text = is_candidate.then(|| bytes::raw(value)).flatten()?;
    let (class, members) = php::parse_object(&text)?;
    // Anonymous users have a token too.
    let is_token = class.starts_with(SYMFONY) && !class.ends_with("\\AnonymousToken");
    let state = is_token.then(|| state(&members)).flatten();
    Some(state.map_or(
        Value::Object(members),
        |(user, roles)| serde_json::json!({ "user": user, "roles": roles }),
    ))
}

/// The user and the roles of a token: `AbstractToken::__serialize`, which the classes
/// below it write as the last of their own values.
fn state(members: &Map<String, Value>) -> Option<(Value, Value)> {
    let mut values: Vec<&Value> =
        (0..members.len()).map(|at| members.get(&at.to_string())).collect::<Option<_>>()?;
    for _ in 0..MAX_PARENTS {
        if let [user, Value::Bool(authenticated), _, _, roles @ Value::Array(_)] = values.as_slice()
        {
            let user = authenticated.then(|| known(user)).flatten()?;
            return Some((user, (*roles).clone()));
        }
        let Some(Value::Array(parents)) = values.last() else { return None };
        values = parents.iter().collect();
    }
    None
}

/// The user with an `identifier`, as `getUserIdentifier` returns it where that is plain,
/// and without the password's digest.
fn known(user: &Value) -> Option<Value> {
    let mut user = match user {
        Value::String(name) => Map::from_iter([("identifier".to_owned(), Value::from(&**name))]),
        Value::Object(members) => members.clone(),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => return None,
    };
    user.shift_remove("password");
    let named = |names: &[&str]| {
        let found: Vec<_> = names.iter().filter_map(|name| user.get(*name)).collect();
        match found.as_slice() {
            [one @ Value::String(_)] => Some((*one).clone()),
            _ => None,
        }
    };
    let identifier = named(&["userIdentifier"]).or_else(|| named(&["username", "email"]));
    if let Some(identifier) = identifier {
        user.entry("identifier").or_insert(identifier);
    }
    Some(Value::Object(user))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: &str =
        "Symfony\\Component\\Security\\Core\\Authentication\\Token\\UsernamePasswordToken";

    /// A token whose user and state are these values, serialized.
    fn token(class: &str, user: &str, authenticated: u8) -> Value {
        let roles = r#"a:1:{i:0;s:9:"ROLE_USER";}"#;
        let state =
            format!("a:5:{{i:0;{user}i:1;b:{authenticated};i:2;N;i:3;a:0:{{}}i:4;{roles}}}");
        let text = format!(r#"O:{}:"{class}":3:{{i:0;N;i:1;s:4:"main";i:2;{state}}}"#, class.len());
        unfold(json!({ "_security_main": text }))["_security_main"].take()
    }

    fn user(members: &str, count: usize) -> String {
        format!(r#"O:15:"App\Entity\User":{count}:{{{members}}}"#)
    }

    #[test]
    fn the_user_of_a_token_has_an_identifier_and_no_password() {
        let members = "s:19:\"\0App\\Entity\\User\0id\";i:7;s:22:\"\0App\\Entity\\User\0email\";\
                       s:7:\"a@b.com\";s:8:\"password\";s:4:\"hash\";";
        let found = token(PLAIN, &user(members, 3), 1);
        let expected = json!({ "id": 7, "email": "a@b.com", "identifier": "a@b.com" });
        assert_eq!(found["user"], expected);
        assert_eq!(found["roles"], json!(["ROLE_USER"]));
        assert_eq!(token(PLAIN, "s:3:\"ada\";", 1)["user"], json!({ "identifier": "ada" }));
    }

    #[test]
    fn an_identifier_that_could_be_either_is_none() {
        let members = "s:5:\"email\";s:7:\"a@b.com\";s:8:\"username\";s:3:\"ada\";";
        assert_eq!(token(PLAIN, &user(members, 2), 1)["user"]["identifier"], Value::Null);
    }

    #[test]
    fn a_token_without_a_subject_has_no_user() {
        let text = "s:5:\"anon.\";";
        assert_eq!(token(PLAIN, text, 0)["user"], Value::Null, "not authenticated");
        let anonymous = PLAIN.replace("UsernamePassword", "Anonymous");
        assert_eq!(token(&anonymous, text, 1)["user"], Value::Null);
        assert_eq!(token("App\\TwoFactorToken", text, 1)["user"], Value::Null, "not Symfony's own");
    }

    #[test]
    fn other_texts_stay_texts() {
        for text in ["O:", "O:1", "O:3:\"Bag\":1:{", "O:3:\"Bag\":0:{}x", "a:0:{}", "Oh"] {
            assert_eq!(unfold(json!([text])), json!([text]));
        }
        assert_eq!(unfold(json!({ "base64": "/w==" })), json!({ "base64": "/w==" }));
        assert_eq!(unfold(json!("O:3:\"Bag\":0:{}")), json!({}));
    }
}
