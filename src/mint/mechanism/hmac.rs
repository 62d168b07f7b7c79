//! Tokens that are a signature over a text: HMAC in any hash and encoding, or a
//! plain hash with the secret at its end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::mac::{Further, Mac};
use crate::document::{At, Node, template_syntax};
use crate::mint::error::MintError;
use crate::mint::layered_table::LayeredTable;
use crate::mint::request_pattern::RequestPattern;
use crate::mint::response::Response;
use crate::mint::subject::Subject;
use crate::mint::template::{self, Names, Scope, Template, Text};

pub(in crate::mint) struct Hmac {
    mac: Mac,
    inputs: Option<Template>,
    require: Vec<Text>,
    recipes: Recipes,
}

/// One recipe for every request, or one per value of a request input.
enum Recipes {
    One(Box<Recipe>),
    Variants(Vec<Variant>),
}

/// A recipe for the requests whose input matches, or the reason to refuse them.
struct Variant {
    on: String,
    when: RequestPattern,
    recipe: Result<Recipe, String>,
}

/// How one token is put together.
struct Recipe {
    variables: Vec<Text>,
    sign: Text,
    /// Further signatures, each with its own key and encoding.
    signatures: Vec<Further>,
    token: Option<Text>,
    wrap: Wrap,
    response: Response,
}

/// The last step: how the finished token is encoded.
#[derive(Clone, Copy)]
enum Wrap {
    Base64,
    Nothing,
}

impl Hmac {
    pub(in crate::mint) const KEYS: [&str; 9] = [
        "inputs",
        "require",
        "response",
        "sign",
        "signatures",
        "token",
        "variants",
        "vars",
        "wrap",
    ];

    pub(super) fn from_members(
        members: &mut LayeredTable<'_, '_, '_>,
        names: &Names<'_>,
    ) -> Option<Self> {
        let mac = Mac::from_members(members, names);
        let inputs = match members.take("inputs") {
            Some(at) => Some(template::value(&at, names)?),
            None => None,
        };
        let made: &[&str] = if inputs.is_some() { &["input"] } else { &[] };
        let names = &Names { made, ..*names };
        let required = members.take("require").map(|at| required(&at, names));
        let recipes = match members.take("variants") {
            Some(at) => {
                let variants: Vec<_> =
                    at.items().iter().map(|at| read_variant(at, names)).collect();
                variants.into_iter().collect::<Option<_>>().map(Recipes::Variants)
            }
            None => read_only_recipe(members, names).map(|recipe| Recipes::One(Box::new(recipe))),
        };
        let require = required.unwrap_or_else(|| Some(Vec::new()))?;
        Some(Self { mac: mac?, inputs, require, recipes: recipes? })
    }

    pub(super) fn signs_with_rsa(&self) -> bool {
        let further = |recipe: &Recipe| recipe.signatures.iter().any(|it| it.mac.signs_with_rsa());
        let others = match &self.recipes {
            Recipes::One(recipe) => further(recipe),
            Recipes::Variants(variants) => {
                variants.iter().any(|variant| variant.recipe.as_ref().is_ok_and(further))
            }
        };
        self.mac.signs_with_rsa() || others
    }

    /// The media type of the answers. Variants of a preset answer alike.
    pub(in crate::mint) fn content_type(&self) -> HeaderValue {
        let first = match &self.recipes {
            Recipes::One(recipe) => Some(recipe.as_ref()),
            Recipes::Variants(variants) => {
                variants.iter().find_map(|variant| variant.recipe.as_ref().ok())
            }
        };
        let json = || HeaderValue::from_static("application/json");
        first.map_or_else(json, Recipe::content_type)
    }

    /// Signs, and hands `finish` the response with every value it may put in.
    pub(in crate::mint) fn signed<'a, T>(
        &'a self,
        scope: &Scope<'a>,
        finish: impl FnOnce(&Response, &Scope<'_>, String) -> Result<T, MintError>,
    ) -> Result<T, MintError> {
        for text in &self.require {
            if text.needed(scope)?.is_empty() {
                return Err(MintError::not_allowed("a value this preset requires is empty"));
            }
        }
        let recipe = self.recipes.choose(scope.subject)?;
        let input = match &self.inputs {
            Some(inputs) => Some(inputs.needed(scope)?),
            None => None,
        };
        let mut variables = Vec::with_capacity(recipe.variables.len());
        for variable in &recipe.variables {
            let scope = Scope { input: input.as_deref(), variables: &variables, ..*scope };
            let text = variable.needed(&scope)?;
            variables.push(text);
        }
        let scope = Scope { input: input.as_deref(), variables: &variables, ..*scope };
        let text = recipe.sign.needed(&scope)?;
        if text.is_empty() {
            // A signature over an empty text would be valid for every user without an id.
            return Err(MintError::not_allowed("there is nothing to sign"));
        }
        let signature = self.mac.sign(&text)?;
        let mut signatures = Vec::with_capacity(recipe.signatures.len());
        for further in &recipe.signatures {
            signatures.push(further.mac.sign(&further.text.needed(&scope)?)?);
        }
        let scope = Scope { signature: Some(&signature), signatures: &signatures, ..scope };
        let token = match &recipe.token {
            Some(token) => token.needed(&scope)?,
            None => signature.clone(),
        };
        let token = match recipe.wrap {
            Wrap::Base64 => STANDARD.encode(token),
            Wrap::Nothing => token,
        };
        finish(&recipe.response, &scope, token)
    }
}

impl Recipe {
    /// Without its own form, an answer is the bare token.
    fn content_type(&self) -> HeaderValue {
        self.response.content_type()
    }
}

impl Recipes {
    fn choose(&self, subject: &Subject<'_>) -> Result<&Recipe, MintError> {
        let variants = match self {
            Self::One(recipe) => return Ok(recipe),
            Self::Variants(variants) => variants,
        };
        let chosen = variants.iter().find(|variant| {
            let input = subject.inputs.get(&variant.on).and_then(serde_json::Value::as_str);
            input.is_some_and(|input| variant.when.matches(input, subject.identity))
        });
        match chosen.map(|variant| &variant.recipe) {
            Some(Ok(recipe)) => Ok(recipe),
            Some(Err(why)) => Err(MintError::NotAllowed(why.clone().into())),
            None => Err(MintError::not_allowed("no variant of this preset fits the request")),
        }
    }
}

/// `require = ["param.user_data.id"]`: values every token must have.
fn required(at: &At<'_>, names: &Names<'_>) -> Option<Vec<Text>> {
    let one = |at: &At<'_>| {
        let path = at.text("a path such as \"param.user_data.id\"")?;
        let node = Node::from_json(&serde_json::Value::from(format!("{{{path}}}")));
        template::text(&At { node: &node, ..at.clone() }, names)
    };
    let read: Vec<_> = at.items().iter().map(one).collect();
    read.into_iter().collect()
}

fn read_variant(at: &At<'_>, names: &Names<'_>) -> Option<Variant> {
    let mut table = at.table()?;
    let when = table.need("when", "when = \"private-*\"");
    let on = table.need::<String>("on", "on = \"request.channel_name\"");
    let refuse: Option<String> = table.get("refuse");
    let missing = template_syntax::references(at.node).into_iter().find(|reference| {
        let params = names.params.filter(|_| reference.root() == "param");
        params.is_some_and(|params| !params.has(reference.rest()))
    });
    let recipe = match (refuse, missing) {
        (Some(why), _) => Err(why),
        (None, Some(reference)) => {
            for key in RECIPE_KEYS {
                table.take(key);
            }
            Err(format!(
                "`params.{}` is not set, so this kind is refused",
                reference.rest().join(".")
            ))
        }
        (None, None) => read_recipe(&mut |key| table.take(key), names)?,
    };
    table.finish();
    let on = on?.strip_prefix("request.").map(str::to_owned);
    if on.as_ref().is_none_or(|on| !names.inputs.declares(on)) {
        at.problem("`on` names no input of `request`");
    }
    Some(Variant { on: on?, when: when?, recipe })
}

/// The recipe of a preset without variants.
fn read_only_recipe(members: &mut LayeredTable<'_, '_, '_>, names: &Names<'_>) -> Option<Recipe> {
    let recipe = read_recipe(&mut |key| members.take(key), names)?;
    recipe.map_err(|missing| names.token.problem(missing)).ok()
}

/// Members of a recipe.
const RECIPE_KEYS: [&str; 9] = [
    "cookie_domain",
    "cookie_path",
    "cookies",
    "response",
    "sign",
    "signatures",
    "token",
    "vars",
    "wrap",
];

fn read_recipe<'a>(
    take: &mut dyn FnMut(&'static str) -> Option<At<'a>>,
    names: &Names<'_>,
) -> Option<Result<Recipe, String>> {
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
    let further = take("signatures");
    let (known_signatures, signatures) = match read_signatures(further.as_ref(), &signed)? {
        Ok(signatures) => signatures.into_iter().unzip(),
        Err(missing) => {
            RECIPE_KEYS.iter().for_each(|key| drop(take(key)));
            return Some(Err(missing));
        }
    };
    let known_signatures: Vec<String> = known_signatures;
    let signed = Names { signatures: &known_signatures, ..signed };
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
    let response = read_response(take, &answered)?;
    Some(Ok(Recipe { variables, sign: sign?, signatures, token, wrap, response }))
}

/// Without its own form, the answer is the bare token.
fn read_response<'a>(
    take: &mut dyn FnMut(&'static str) -> Option<At<'a>>,
    names: &Names<'_>,
) -> Option<Response> {
    let (response, cookies) = (take("response"), take("cookies"));
    if response.is_none() && cookies.is_none() {
        take("cookie_path");
        take("cookie_domain");
        return Some(Response::text());
    }
    Response::read(take, names)
}

/// `signatures = { NAME = { … } }`, or the key that one of them lacks.
fn read_signatures(
    at: Option<&At<'_>>,
    names: &Names<'_>,
) -> Option<Result<Vec<(String, Further)>, String>> {
    let mut signatures = Vec::new();
    for (key, at) in at.map(At::members).unwrap_or_default() {
        match Further::from_node(&at, names)? {
            Ok(further) => signatures.push((key.name.clone(), further)),
            Err(missing) => return Some(Err(missing)),
        }
    }
    Some(Ok(signatures))
}
