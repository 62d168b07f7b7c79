//! Tokens that are a signature over a text: HMAC in any hash and encoding, or a
//! plain hash with the secret at its end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::layered_table::Members;
use super::mac::Seal;
use super::request_pattern::Pattern;
use super::response::Response;
use super::template::{self, Names, Scope, Template, Text, parse};
use crate::document::{At, Node};
use crate::mint::{MintError, Subject};

pub(super) struct Hmac {
    seal: Seal,
    inputs: Option<Template>,
    require: Vec<Text>,
    ways: Ways,
}

/// What is signed, always or depending on a request input.
enum Ways {
    One(Way),
    Variants(Vec<Variant>),
}

struct Variant {
    on: String,
    when: Pattern,
    way: Result<Way, String>,
}

struct Way {
    variables: Vec<Text>,
    sign: Text,
    token: Option<Text>,
    wrap: Wrap,
    response: Response,
}

#[derive(Clone, Copy)]
enum Wrap {
    Base64,
    Nothing,
}

impl Hmac {
    pub(super) fn read(members: &mut Members<'_, '_, '_>, names: &Names<'_>) -> Option<Self> {
        let seal = Seal::read(members, names);
        let inputs = match members.take("inputs") {
            Some(at) => Some(template::value(&at, names)?),
            None => None,
        };
        let made: &[&str] = if inputs.is_some() { &["input"] } else { &[] };
        let names = &Names { made, ..*names };
        let required = members.take("require").map(|at| required(&at, names));
        let ways = match members.take("variants") {
            Some(at) => {
                let variants: Vec<_> = at.items().iter().map(|at| variant(at, names)).collect();
                variants.into_iter().collect::<Option<_>>().map(Ways::Variants)
            }
            None => one(members, names).map(Ways::One),
        };
        let require = required.unwrap_or_else(|| Some(Vec::new()))?;
        Some(Self { seal: seal?, inputs, require, ways: ways? })
    }

    /// Signs, and hands `finish` the response with all it may put in.
    pub(super) fn signed<'a, T>(
        &'a self,
        scope: &Scope<'a>,
        finish: impl FnOnce(&Response, &Scope<'_>, String) -> Result<T, MintError>,
    ) -> Result<T, MintError> {
        for text in &self.require {
            if text.needed(scope)?.is_empty() {
                return Err(MintError::not_allowed("a value this preset requires is empty"));
            }
        }
        let way = self.ways.choose(scope.subject)?;
        let input = match &self.inputs {
            Some(inputs) => Some(inputs.needed(scope)?),
            None => None,
        };
        let mut variables = Vec::with_capacity(way.variables.len());
        for variable in &way.variables {
            let scope = Scope { input: input.as_deref(), variables: &variables, ..*scope };
            let text = variable.needed(&scope)?;
            variables.push(text);
        }
        let scope = Scope { input: input.as_deref(), variables: &variables, ..*scope };
        let text = way.sign.needed(&scope)?;
        if text.is_empty() {
            // It would be everybody's who has no name either.
            return Err(MintError::not_allowed("there is nothing to sign"));
        }
        let signature = self.seal.over(&text);
        let scope = Scope { signature: Some(&signature), ..scope };
        let token = match &way.token {
            Some(token) => token.needed(&scope)?,
            None => signature.clone(),
        };
        let token = match way.wrap {
            Wrap::Base64 => STANDARD.encode(token),
            Wrap::Nothing => token,
        };
        finish(&way.response, &scope, token)
    }
}

impl Ways {
    fn choose(&self, subject: &Subject<'_>) -> Result<&Way, MintError> {
        let variants = match self {
            Self::One(way) => return Ok(way),
            Self::Variants(variants) => variants,
        };
        let chosen = variants.iter().find(|variant| {
            let input = subject.inputs.get(&variant.on).and_then(serde_json::Value::as_str);
            input.is_some_and(|input| variant.when.matches(input, subject.identity))
        });
        match chosen.map(|variant| &variant.way) {
            Some(Ok(way)) => Ok(way),
            Some(Err(why)) => Err(MintError::NotAllowed(why.clone().into())),
            None => Err(MintError::not_allowed("no variant of this preset fits the request")),
        }
    }
}

/// `require = ["param.user_data.id"]`: values no token may be without.
fn required(at: &At<'_>, names: &Names<'_>) -> Option<Vec<Text>> {
    let one = |at: &At<'_>| {
        let path = at.text("a path such as \"param.user_data.id\"")?;
        let node = Node::from_json(&serde_json::Value::from(format!("{{{path}}}")));
        template::text(&At { node: &node, ..at.clone() }, names)
    };
    let read: Vec<_> = at.items().iter().map(one).collect();
    read.into_iter().collect()
}

fn variant(at: &At<'_>, names: &Names<'_>) -> Option<Variant> {
    let mut table = at.table()?;
    let when = table.need("when", "when = \"private-*\"");
    let on = table.need::<String>("on", "on = \"request.channel_name\"");
    let refuse: Option<String> = table.get("refuse");
    let missing = parse::references(at.node).into_iter().find(|reference| {
        let params = names.params.filter(|_| reference.root() == "param");
        params.is_some_and(|params| !params.has(reference.rest()))
    });
    let way = match (refuse, missing) {
        (Some(why), _) => Err(why),
        (None, Some(reference)) => {
            for key in ["vars", "sign", "token", "wrap", "response"] {
                table.take(key);
            }
            Err(format!(
                "`params.{}` is not set, so this kind is refused",
                reference.rest().join(".")
            ))
        }
        (None, None) => Ok(way(&mut |key| table.take(key), None, names)?),
    };
    table.finish();
    let on = on?.strip_prefix("request.").map(str::to_owned);
    if on.as_ref().is_none_or(|on| !names.inputs.declares(on)) {
        at.problem("`on` names no input of `request`");
    }
    Some(Variant { on: on?, when: when?, way })
}

fn one(members: &mut Members<'_, '_, '_>, names: &Names<'_>) -> Option<Way> {
    let cookie_path: Option<String> = members.get("cookie_path");
    way(&mut |key| members.take(key), cookie_path.as_deref(), names)
}

fn way<'a>(
    take: &mut dyn FnMut(&'static str) -> Option<At<'a>>,
    cookie_path: Option<&str>,
    names: &Names<'_>,
) -> Option<Way> {
    let mut known = Vec::new();
    let mut variables = Vec::new();
    for at in take("vars").map(|at| at.items()).unwrap_or_default() {
        let pair = at.items();
        let [name, text] = pair.as_slice() else {
            at.problem("expected a pair such as [\"q\", \"{input|query}\"]");
            return None;
        };
        let names = Names { variables: &known, ..*names };
        variables.push(template::text(text, &names)?);
        let name = name.text("a name")?.to_owned();
        known.push(name);
    }
    let Some(sign) = take("sign") else {
        names.token.problem("`sign` is missing; write the text to sign");
        return None;
    };
    let signed = Names { variables: &known, ..*names };
    let sign = template::text(&sign, &signed);
    let mut made = names.made.to_vec();
    made.push("sig");
    let tokened = Names { made: &made, ..signed };
    let token = match take("token") {
        Some(at) => Some(template::text(&at, &tokened)?),
        None => None,
    };
    let wrap = match take("wrap") {
        Some(at) if at.text("\"base64\"")? == "base64" => Wrap::Base64,
        Some(at) => {
            at.wrong("\"base64\"");
            return None;
        }
        None => Wrap::Nothing,
    };
    made.push("token");
    let answered = Names { made: &made, ..signed };
    let response = match take("response") {
        Some(at) => Response::read(&at, cookie_path, &answered)?,
        None => Response::Text(HeaderValue::from_static("text/plain")),
    };
    Some(Way { variables, sign: sign?, token, wrap, response })
}
