//! Rules, a request, and what it must meet.

use http::Method;

use super::{Home, Met, PathRule, RuleInput, Rules, RulesUnfit};
use crate::request::path::PathPattern;
use crate::upstream::Prefixes;

struct One {
    pattern: PathPattern,
    methods: Vec<Method>,
    guards: bool,
    upstream: usize,
    name: &'static str,
}

impl PathRule for One {
    fn pattern(&self) -> &PathPattern {
        &self.pattern
    }
    fn methods(&self) -> &[Method] {
        &self.methods
    }
    fn guards(&self) -> bool {
        self.guards
    }
}

/// `open:` for one that guards nothing, a path, methods, and the number of an upstream behind `@`.
fn rules(lines: &[&'static str]) -> Rules<One> {
    let rule = |line: &&'static str| {
        let (rest, upstream) = line.split_once('@').unwrap_or((line, "0"));
        let mut words = rest.split_whitespace();
        let name = words.next().unwrap();
        One {
            guards: !name.starts_with("open:"),
            pattern: PathPattern::parse(name.trim_start_matches("open:")).unwrap(),
            methods: words.map(|word| word.parse().unwrap()).collect(),
            upstream: upstream.parse().unwrap(),
            name,
        }
    };
    Rules::new(lines.iter().map(rule).collect())
}

/// The third upstream is a vendor's API.
fn find<'r>(rules: &'r Rules<One>, request: &str) -> Result<Met<'r, One>, RulesUnfit> {
    let prefixes = Prefixes { locales: vec!["de".into()], base_path: "/shop".into() };
    let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let method: Method = method.parse().unwrap();
    let home = |rule: Option<&One>| {
        let upstream = rule.map_or(0, |rule| rule.upstream);
        Home { upstream, prefixes: (upstream != 3).then_some(&prefixes) }
    };
    rules.find(&RuleInput { method: &method, path, query }, home)
}

fn met(rules: &Rules<One>, request: &str) -> String {
    let told =
        |methods: Vec<Method>| methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",");
    match find(rules, request) {
        Ok(met) => met.all().map(|rule| rule.name).collect::<Vec<_>>().join(" "),
        Err(RulesUnfit::Control) => "control".into(),
        Err(RulesUnfit::Elsewhere) => "elsewhere".into(),
        Err(RulesUnfit::TooMany) => "too many".into(),
        Err(RulesUnfit::WrongMethod(methods)) => format!("405 {}", told(methods)),
    }
}

fn check(lines: &[&'static str], cases: &[(&str, &str)]) {
    let rules = rules(lines);
    for (request, expected) in cases {
        assert_eq!(met(&rules, request), *expected, "{request}");
    }
}

#[test]
fn a_rule_holds_for_every_address_of_its_page() {
    check(
        &["/account", "/files/*", "/admin/**"],
        &[
            ("/account", "/account"),
            ("/account/", "/account"),
            ("//account", "/account"),
            ("/Account", "/account"),
            ("/%61ccount", "/account"),
            ("/account.json", "/account"),
            ("/account.data", "/account"),
            ("/_next/data/B/account.json", "/account"),
            ("/_next/data/B/de/account.json", "/account"),
            ("/shop/_next/data/B/de/account.json", "/account"),
            ("/de/account", "/account"),
            ("/index.php/account", "/account"),
            ("/account/_payload.json", "/account"),
            ("/account/__data.json", "/account"),
            ("/page-data/account/page-data.json", "/account"),
            ("/__manifest?p=%2Faccount", "/account"),
            ("/__manifest?paths=/x,/account,/admin/y", "/account /admin/**"),
            ("/files/a.json", "/files/*"),
            ("/files/a/b", ""),
            ("/files/a%2fb", "/files/*"),
            ("/x/..%2fadmin", "/admin/**"),
            ("/administrator", ""),
            ("/accounts", ""),
            ("/x/account", ""),
            ("/?/account", ""),
        ],
    );
}

#[test]
fn several_readings_under_several_rules_must_meet_them_all() {
    check(
        &["open:/*", "/**"],
        &[("/x", "open:/*"), ("/@scope%2fname", "open:/* /**"), ("/x/", "/** open:/*")],
    );
    check(
        &["open:/public/**", "/admin/**", "/account"],
        &[
            ("/public/x", "open:/public/**"),
            ("/public/../admin", "open:/public/** /admin/**"),
            ("/public/..;/Admin/x", "open:/public/** /admin/**"),
            ("/admin/..%2faccount", "/admin/** /account"),
        ],
    );
    check(
        &["open:/_next/**", "/account", "/**"],
        &[
            ("/_next/data/B/account.json", "open:/_next/** /account"),
            ("/_next/static/x.js", "open:/_next/**"),
            ("/_next/data/B/index.json", "open:/_next/** /**"),
        ],
    );
}

#[test]
fn a_rule_that_names_an_address_speaks_for_it() {
    check(
        &["open:/favicon.ico", "open:/feed.json", "/feed", "/**"],
        &[
            ("/favicon.ico", "open:/favicon.ico"),
            ("/feed.json", "open:/feed.json"),
            ("/feed.xml", "/** /feed"),
            ("/Favicon.ico", "/** open:/favicon.ico"),
        ],
    );
    // What servers make of the very same path counts all the same.
    check(&["open:/account/", "/account"], &[("/account/", "open:/account/ /account")]);
}

#[test]
fn a_rule_that_names_an_address_does_not_speak_for_a_page_in_its_query() {
    check(
        &[
            "open:/",
            "open:/index.php",
            "open:/_next/image",
            "open:/__manifest",
            "/account/**",
            "/x",
        ],
        &[
            ("/", "open:/"),
            ("/?q=account", "open:/"),
            ("/?r=account", "open:/ /account/**"),
            ("/?%72=account.json", "open:/ /account/**"),
            ("/?r=account&_url=x", "open:/ /account/** /x"),
            ("/index.php?x=1", "open:/index.php"),
            ("/index.php?r=account", "open:/index.php /account/**"),
            ("/index.php?r=index", "open:/index.php open:/"),
            ("/_next/image?url=%2Flogo.png", "open:/_next/image"),
            ("/_next/image?url=%2Faccount%2Fa.png", "open:/_next/image /account/**"),
            ("/__manifest?p=/account", "open:/__manifest /account/**"),
        ],
    );
    // A vendor's API names no pages of the app.
    check(&["open:/index.php@3", "/account"], &[("/index.php?r=account", "open:/index.php")]);
}

#[test]
fn odd_rules_hold_for_plain_paths() {
    check(&["/Account/"], &[("/account", "/Account/"), ("/Account/", "/Account/"), ("/x", "")]);
    check(
        &["open:/Admin/**", "/admin/**"],
        &[("/admin/x", "/admin/** open:/Admin/**"), ("/Admin/x", "open:/Admin/** /admin/**")],
    );
    check(&["/caf%C3%A9"], &[("/CAF%c3%89", "/caf%C3%A9"), ("/caf%e9", "")]);
}

#[test]
fn the_first_rule_that_fits_path_and_method_decides() {
    check(
        &["open:/api/** OPTIONS", "/api/**"],
        &[("OPTIONS /api/x", "open:/api/**"), ("GET /api/x", "/api/**")],
    );
    check(
        &["/read/* GET HEAD", "/read/* GET POST", "/x PUT"],
        &[
            ("GET /read/a", "/read/*"),
            ("POST /read/a", "/read/*"),
            ("PUT /read/a", "405 GET,HEAD,POST"),
            ("PUT /read/a/", "405 GET,HEAD,POST"),
            ("PUT /read/a.json/", "405 GET,HEAD,POST"),
            ("PUT /Read/a", "405 GET,HEAD,POST"),
            ("get /read/a", "405 GET,HEAD,POST"),
            ("GET /x.json", "405 PUT"),
            ("GET /y", ""),
        ],
    );
}

#[test]
fn a_method_in_other_letters_slips_past_no_rule_that_goes_by_the_method() {
    check(
        &["/api/** POST DELETE", "open:/api/**"],
        &[
            ("POST /api/x", "/api/**"),
            ("post /api/x", "405 POST,DELETE"),
            ("pOST /api/x.json", "405 POST,DELETE"),
            ("Delete /de/api/x", "405 POST,DELETE"),
            ("patch /api/x", "open:/api/**"),
            ("PATCH /api/x", "open:/api/**"),
        ],
    );
    check(
        &["open:/api/** GET", "/api/**"],
        &[("get /api/x", "405 GET"), ("post /api/x", "/api/**"), ("patch /x", "")],
    );
}

#[test]
fn a_path_of_two_upstreams_is_neither_s() {
    check(
        &["/docs/**@1", "/vendor/**@3", "/account", "open:/same/**@0"],
        &[
            ("/docs/x", "/docs/**"),
            ("/docs/x%2fy", "/docs/**"),
            ("/Docs/x", "elsewhere"),
            ("/%64ocs/x", "elsewhere"),
            ("/docs/../x", "elsewhere"),
            ("/docs/..%2fvendor/x", "elsewhere"),
            ("/vendor/a%2fb.json", "/vendor/**"),
            ("/VENDOR/x", "elsewhere"),
            ("/x/../vendor/y", "elsewhere"),
            ("/same/../x", "open:/same/**"),
            // Not the vendor's page: frameworks have no part in its API.
            ("/vendor/de/account.json", "/vendor/**"),
        ],
    );
}

#[test]
fn a_page_behind_another_upstream_keeps_its_guard_but_not_its_headers() {
    let rules = rules(&["open:/blog/**@1", "/x"]);
    let met = find(&rules, "/blog/index.php/x").unwrap();
    assert_eq!(
        met.others.iter().map(|o| (o.rule.name, o.is_at_home)).collect::<Vec<_>>(),
        [("/x", false)]
    );
}

#[test]
fn control_characters_are_refused_only_where_a_reading_is_guarded() {
    check(
        &["/admin/**", "open:/wiki/**"],
        &[
            ("/wiki/a%0ab", "open:/wiki/**"),
            ("/x%09y%7f", ""),
            ("/admin/a%0ab", "control"),
            ("/%09admin", "control"),
            ("/adm%0ain", "control"),
        ],
    );
}

#[test]
fn without_rules_there_is_nothing_to_meet() {
    check(&[], &[("/a%2f..;//%5c", ""), ("/account.json", "")]);
}
