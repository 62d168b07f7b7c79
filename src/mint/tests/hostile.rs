//! Every block of the gallery against sessions and requests that ask for more than they
//! may have.
//!
//! A value may change only the place it is put in: a token minted for it has the members,
//! segments and lines of one minted for a harmless value, apart from the signatures over
//! them.

mod shapes;

use serde_json::{Map, Value, json};

use crate::base::clock::Now;
use crate::document::Node;
use crate::mint::tests::gallery::{fixture, tables};
use crate::mint::tests::{NOW, read, read_node};
use crate::mint::{MintError, Minter, Minting, Subject};
use crate::session::Identity;
use shapes::{MARKERS, answered, called, same};

/// Values that end, open or outgrow what surrounds them somewhere.
fn hostile() -> Vec<String> {
    let written = [
        "\"",
        "'",
        "\\",
        "\\\"",
        "\"}",
        "\"],\"x\":[\"",
        "a\nb",
        "a\r\nx-evil: 1",
        "\0",
        "a\0b",
        "\u{1b}[2J",
        "%",
        "%00",
        "%0a",
        "%2f",
        "%2e%2e%2f",
        "../x",
        "..",
        ".",
        "/",
        "a/b",
        "//evil.example/",
        "\\\\evil",
        "a?b=c",
        "a&b=c",
        "a=b",
        "a#b",
        "a;b",
        "a,b",
        "a:b",
        "a|b",
        "a||b",
        "a b",
        " a",
        "a ",
        "a+b",
        "*",
        "a*",
        "**",
        ">",
        "#",
        "+",
        "{x}",
        "{{x}}",
        "{session.email}",
        "{param.x}",
        "{?x*}",
        "${filename}",
        "$a",
        "[a]",
        "^a.*$",
        "(a)",
        "!a",
        "~a",
        "a!b",
        "a~exp=9999999999",
        "<script>",
        "' OR '1'='1",
        "\" OR 1=1 --",
        "a && b",
        "a) || (b",
        "`x`",
        "é",
        "李小龍",
        "\u{202e}a",
        "\u{2028}",
        "\u{feff}",
        "🦀",
        "a@b.example",
        "true",
        "null",
        "0",
        "-1",
        "1e9",
        "NaN",
        "undefined",
        "__proto__",
        "constructor",
        "admin",
    ];
    let mut all: Vec<String> = written.iter().map(|&text| text.to_owned()).collect();
    all.push("x".repeat(5_000));
    all.push("é".repeat(5_000));
    all
}

struct Block {
    name: String,
    minter: Minter,
    inputs: Map<String, Value>,
}

fn blocks() -> Vec<Block> {
    let block = |(name, node): (String, Node)| {
        let inputs = fixture()["requests"][&name].as_object().cloned().unwrap_or_default();
        let minter = read_node(&node).unwrap_or_else(|_| panic!("{name} is read"));
        Block { name, minter, inputs }
    };
    tables().into_iter().map(block).collect()
}

/// The gallery's user, with one field of the session replaced.
fn session(field: &str, value: Value) -> Option<Identity> {
    let mut session = fixture()["session"].clone();
    session[field] = value;
    let user = session["user_id"].as_str().filter(|id| !id.is_empty())?.to_owned();
    Some(Identity::assumed(user, session, None))
}

fn minted(
    block: &Block,
    identity: &Identity,
    inputs: &Map<String, Value>,
) -> Result<Value, MintError> {
    let subject = Subject { identity, inputs, grant: &Value::Null };
    let draws: Vec<String> = block.minter.draws.iter().map(|_| "drawn".to_owned()).collect();
    Ok(match block.minter.mint_with(&subject, Now::at(NOW), &draws)? {
        Minting::Call(call) => called(&call),
        Minting::First(_) => {
            let first = crate::base::secret::Secret::new("first");
            called(&block.minter.call_with(&subject, &first, Now::at(NOW))?)
        }
        Minting::Ready(token) => answered(&token),
    })
}

/// Mints with a harmless value and its twin, then with each hostile one.
fn attack(
    block: &Block,
    what: &str,
    mint: impl Fn(&str) -> Option<Result<Value, MintError>>,
    failures: &mut Vec<String>,
) -> usize {
    let [Some(Ok(benign)), Some(Ok(other))] = MARKERS.map(&mint) else { return 0 };
    if benign == other {
        // Nothing reads it.
        return 0;
    }
    let mut taken = 0;
    for value in hostile() {
        match mint(&value) {
            None => {}
            Some(Err(error)) => {
                let code = error.code();
                if !["bad_request", "not_allowed"].contains(&code) {
                    failures.push(format!("{} {what} {value:.40?}: {code}", block.name));
                }
                let said = error.to_string();
                if value.len() > 3 && said.contains(&value) {
                    failures.push(format!(
                        "{} {what} {value:.40?} is repeated: {said:.200}",
                        block.name
                    ));
                }
            }
            Some(Ok(found)) => {
                taken += 1;
                if !same(&benign, &other, &found, &value) {
                    failures.push(format!(
                        "{} {what} {value:.40?}:\n  {benign:.600}\n  {found:.600}",
                        block.name
                    ));
                }
            }
        }
    }
    taken
}

/// Tables of an operator's own that put a field everywhere a template may stand.
fn own() -> Vec<Block> {
    let call = json!({
        "kind": "exchange", "method": "POST", "url": "https://api.example.com/u/{session.name}/t?n={session.name}",
        "query": { "user": "{session.name}" },
        "headers": { "x-user": "{session.name}", "x-both": "of {session.name}", "x-key": "{key.secret}" },
        "key": { "secret": "a-key-of-a-vendor" }, "take": { "token": "/t" }, "ttl": "1m", "response": { "t": "{token}" }
    });
    let with = |more: Value| {
        let mut table = call.clone();
        table.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        table
    };
    let place = json!({ "user": "{session.name}", "of": ["{session.name}"], "in": { "a": "x-{session.name}" } });
    let signature = json!({
        "kind": "hmac", "hash": "sha256", "encode": "hex", "secret": "secret", "key": { "secret": "a-key-of-a-vendor" },
        "sign": "{now}\n{session.name}\n{exp}", "ttl": "1m",
        "response": { "sig": "{sig}", "name": "{session.name}", "text": "n={session.name|percent}", "url": "https://x.example/{session.name|percent}?s={sig}" }
    });
    let tables = [
        ("json", with(json!({ "body": place.clone() }))),
        ("form", with(json!({ "form": place }))),
        ("hmac", signature),
    ];
    let block = |(name, table): (&str, Value)| Block {
        name: name.to_owned(),
        minter: read(&table).unwrap(),
        inputs: Map::new(),
    };
    tables.map(block).into()
}

#[test]
fn no_value_breaks_out_of_a_table_of_an_operators_own() {
    let (mut failures, mut taken) = (Vec::new(), 0);
    for block in own() {
        let mint =
            |value: &str| Some(minted(&block, &session("name", value.into())?, &block.inputs));
        taken += attack(&block, "name", mint, &mut failures);
    }
    assert!(failures.is_empty(), "{} of {taken}:\n{}", failures.len(), failures.join("\n"));
    assert!(taken > 30, "{taken} values were minted");
}

#[test]
fn no_value_of_a_session_changes_anything_but_its_own_place() {
    let (mut failures, mut taken) = (Vec::new(), 0);
    for block in blocks() {
        for field in ["user_id", "name", "email", "org_id", "stripe_customer_id", "acs_user_id"] {
            let mint =
                |value: &str| Some(minted(&block, &session(field, value.into())?, &block.inputs));
            taken += attack(&block, field, mint, &mut failures);
        }
    }
    println!("{taken} hostile values were minted");
    assert!(failures.is_empty(), "{} of {taken}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn no_input_of_a_browser_changes_anything_but_its_own_place() {
    let (mut failures, mut taken) = (Vec::new(), 0);
    for block in blocks() {
        let identity = session("user_id", "user_42".into()).unwrap();
        for (input, usual) in &block.inputs {
            let mint = |value: &str| {
                let mut inputs = block.inputs.clone();
                inputs[input] = format!("{}{value}", usual.as_str().unwrap()).into();
                Some(minted(&block, &identity, &inputs))
            };
            taken += attack(&block, input, mint, &mut failures);
        }
    }
    println!("{taken} hostile values were minted");
    assert!(failures.is_empty(), "{} of {taken}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_field_that_is_not_text_fills_the_value_or_is_refused() {
    let mut failures = Vec::new();
    for block in blocks() {
        for field in ["name", "email", "org_id", "stripe_customer_id", "acs_user_id"] {
            let mint =
                |value: Value| minted(&block, &session(field, value).unwrap(), &block.inputs);
            let Ok(benign) = mint(MARKERS[0].into()) else { continue };
            let (text, alone) = (benign.to_string(), format!("\"{}\"", MARKERS[0]));
            let inside_a_text = text.contains(MARKERS[0]) && !text.contains(&alone);
            for value in
                [json!({ "$ne": null }), json!([MARKERS[1]]), json!({}), json!([]), json!(null)]
            {
                if inside_a_text && let Ok(found) = mint(value.clone()) {
                    failures.push(format!(
                        "{} {field} {value}:\n  {benign:.400}\n  {found:.400}",
                        block.name
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
