//! Whole files: what can run, and what is told about what cannot.

use super::*;
use crate::base::secret::Secrets;

/// The ten lines of the README and of the contract, secrets spelled out.
const TEN_LINES: &str = r#"
[server]
listen = "127.0.0.1:8080"

[upstream]
servers = ["http://127.0.0.1:3000"]

[session]
kind = "next-auth"
secret = "a-secret-of-at-least-thirty-two-bytes"

[token.portive]
path = "/api/get-auth-token"
preset = "portive"
key = "PRTV_kid_secret"
ttl = "1m"
limit = "30/minute"
"#;

fn problems(text: &str) -> Vec<String> {
    match Config::read(text, &Secrets::Literal) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            problems.iter().map(|p| p.display("gateway.toml", text).to_string()).collect()
        }
    }
}

/// The only problem of the ten lines with `from` replaced by `to`.
fn problem(from: &str, to: &str) -> String {
    assert!(TEN_LINES.contains(from), "{from}");
    let all = problems(&TEN_LINES.replace(from, to));
    assert_eq!(all.len(), 1, "{all:#?}");
    all[0].clone()
}

#[test]
fn the_ten_lines_are_a_whole_configuration() {
    assert_eq!(problems(TEN_LINES), Vec::<String>::new());
    let config = Config::read(TEN_LINES, &Secrets::Literal).ok().unwrap();
    assert_eq!(config.policy.tokens.len(), 1);
    assert!(config.policy.own("/api/get-auth-token").is_some());
    assert_eq!(config.server.listen, [Listen::Tcp("127.0.0.1:8080".parse().unwrap())]);
}

#[test]
fn servers_is_a_list_or_the_one_server() {
    let one = TEN_LINES.replace("[\"http://127.0.0.1:3000\"]", "\"http://127.0.0.1:3000\"");
    let config = Config::read(&one, &Secrets::Literal).ok().unwrap();
    assert_eq!(config.policy.upstreams[0].servers().len(), 1);
    let wrong = one.replace("\"http://127.0.0.1:3000\"", "3000");
    assert!(
        problems(&wrong)[0].contains("upstream.servers: found a number, expected"),
        "{:?}",
        problems(&wrong)
    );
    let empty = one.replace("\"http://127.0.0.1:3000\"", "[]");
    assert!(problems(&empty)[0].contains("`servers` is empty"));
}

#[test]
fn a_misspelt_key_is_named_with_its_place_and_the_right_spelling() {
    let found = problem("ttl = \"1m\"", "tll = \"1m\"");
    assert_eq!(found, "gateway.toml:16:1: token.portive.tll: unknown key, did you mean `ttl`?");
}

#[test]
fn a_bare_number_is_not_a_duration() {
    let found = problem("ttl = \"1m\"", "ttl = 60");
    assert!(
        found.starts_with("gateway.toml:16:7: token.portive.ttl: found the bare number 60"),
        "{found}"
    );
    assert!(found.contains("\"60s\""), "{found}");
}

#[test]
fn every_problem_is_reported_in_one_run() {
    let text = TEN_LINES
        .replace("127.0.0.1:8080", "here")
        .replace("30/minute", "often")
        .replace("http://127.0.0.1:3000", "app")
        .replace("next-auth", "next-outh")
        .replace("\"/api/get-auth-token\"", "\"api\"");
    let all = problems(&text);
    let places: Vec<_> = all.iter().map(|p| p.split(": ").nth(1).unwrap_or_default()).collect();
    assert_eq!(
        places,
        [
            "server.listen",
            "upstream.servers[0]",
            "session.kind",
            "token.portive.path",
            "token.portive.limit"
        ],
        "{all:#?}"
    );
}

#[test]
fn secrets_in_the_wrong_place_are_not_repeated() {
    const SECRET: &str = "sk-live-4f9d8c7b6a5e4d3c2b1a";
    for from in
        ["1m", "30/minute", "portive\"", "/api/get-auth-token", "next-auth", "127.0.0.1:8080"]
    {
        let to = if from.ends_with('"') { format!("{SECRET}\"") } else { SECRET.to_owned() };
        let all = problems(&TEN_LINES.replace(&format!("= \"{from}"), &format!("= \"{to}")));
        assert!(!all.is_empty(), "{from}");
        assert!(!all.concat().contains(SECRET), "{all:?}");
    }
    let unknown = problems(&format!("{TEN_LINES}\n{SECRET} = 1\n"));
    assert!(!unknown.is_empty() && !unknown.concat().contains(SECRET), "{unknown:?}");
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    for text in [
        "[upstream]\nservers = [\"http://u:hunter2@127.0.0.1:3000\"]\n",
        "[upstream]\nservers = \"u:hunter2@127.0.0.1:3000\"\n",
        "[server]\npublic_origin = \"https://u:hunter2@app.example\"\n",
        "[server]\nlisten = \"http://u:hunter2@127.0.0.1:8080\"\n",
        "[server]\nhosts = [\"u:hunter2@app.example\"]\n",
        "[server]\ntrusted_proxies = [\"u:hunter2@10.0.0.0/8\"]\n",
        "[log.otlp]\nendpoint = \"http://u:hunter2@127.0.0.1:4318\"\n",
        "[log]\notlp = \"http://u:hunter2@127.0.0.1:4318\"\n",
        "[token.p]\npath = \"/t\"\npreset = \"portive\"\nkey = \"k\"\n\
         origins = [\"https://u:hunter2@web.example\"]\n",
        "[token.p]\npath = \"/t\"\npreset = \"portive\"\nkey = \"k\"\n\
         grant = \"http://u:hunter2@127.0.0.1/g\"\n",
        "[session]\nkind = \"introspect\"\ncookie = \"t\"\nuser_id = \"/u\"\n\
         url = \"http://u:hunter2@127.0.0.1/me\"\n",
        "[session]\nkind = \"jwt\"\ncookie = \"t\"\n\
         jwks_url = \"https://u:hunter2@idp.example/jwks\"\n",
    ] {
        let all = problems(text).join("\n");
        assert!(!all.is_empty() && !all.contains("hunter2"), "{text}\n{all}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused() {
    let secrets = Secrets::of_process(".");
    let Err(problems) = Config::read(TEN_LINES, &secrets) else { panic!("literal secrets passed") };
    let all: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.text.as_str())).collect();
    assert!(all.iter().any(|(path, _)| *path == "session.secret"), "{all:?}");
    assert!(all.iter().any(|(path, _)| *path == "token.portive.key"), "{all:?}");
    assert!(
        all.iter().all(|(_, text)| !text.contains("PRTV_") && !text.contains("thirty-two")),
        "{all:?}"
    );
}

#[test]
fn syntax_errors_have_their_place() {
    let all = problems("[server]\nlisten = \n[upstream\nservers = [\"http://a\"]\n");
    assert!(all.iter().any(|p| p.starts_with("gateway.toml:2:")), "{all:?}");
}

#[test]
fn two_tokens_cannot_share_a_path() {
    let text = format!(
        "{TEN_LINES}\n[token.other]\npath = \"/api/get-auth-token\"\npreset = \"portive\"\nkey = \"PRTV_a_b\"\n"
    );
    let all = problems(&text);
    assert!(all.len() == 1 && all[0].contains("token.portive already"), "{all:?}");
}

#[test]
fn settings_that_contradict_each_other_are_problems() {
    for route in [
        "allow = { \"/role\" = [\"admin\"] }",
        "sign_in = \"/login\"",
        "session = \"off\"\nset_headers = { X-User = \"{session.user_id}\" }",
        "upstream = \"nowhere\"",
        "set_headers = { Host = \"x\" }",
        "set_headers = { X-T = \"{token.nope}\" }",
    ] {
        let all = problems(&format!("{TEN_LINES}\n[[route]]\npath = \"/a\"\n{route}\n"));
        assert_eq!(all.len(), 1, "{route}: {all:?}");
        assert!(all[0].contains("route[0]"), "{all:?}");
    }
}

#[test]
fn a_header_is_set_once_however_it_is_spelled() {
    let twice = r#"{ X-User = "{session.user_id}", x-USER = "{session.email}" }"#;
    for table in [
        format!("[identity]\nheaders = {twice}\n"),
        format!("[[route]]\npath = \"/a\"\nset_headers = {twice}\n"),
    ] {
        let all = problems(&format!("{TEN_LINES}\n{table}"));
        assert!(all.len() == 1 && all[0].contains(".x-USER: this header is set al"), "{all:?}");
    }
}

#[test]
fn the_annotated_example_holds_with_every_setting_uncommented() {
    let folder = std::env::temp_dir().join(format!("portcullis-example-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    let site = rcgen::generate_simple_self_signed(vec!["app.example".to_owned()]).unwrap();
    for (name, pem) in [
        ("site.pem", site.cert.pem()),
        ("ca.pem", site.cert.pem()),
        ("site-key.pem", site.signing_key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), pem).unwrap();
    }
    let there = |name: &str| format!("\"{}\"", folder.join(name).display());
    let example = include_str!("../../gateway.toml")
        .replace("\"site.pem\"", &there("site.pem"))
        .replace("\"site-key.pem\"", &there("site-key.pem"))
        .replace("\"ca.pem\"", &there("ca.pem"))
        .replace("env:NEXTAUTH_SECRET", "a-secret-of-at-least-thirty-two-bytes")
        .replace("env:PORTIVE_API_KEY", "PRTV_kid_secret");
    assert_eq!(problems(&example), Vec::<String>::new());
    let uncommented: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // A second setting of one name, or another way to write it.
            Some(rest) if rest.contains(" = ") && !rest.contains("secrets") => format!("{rest}\n"),
            Some(rest) if rest.starts_with('[') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let found = problems(&uncommented);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_key_of_the_users_own_choice_never_breaks_the_line() {
    for key in [r#""a\nb""#, r#""\u001b[2J""#, &"k".repeat(101)] {
        let found = problems(&format!("{TEN_LINES}[identity.headers]\n{key} = \"{{x}}\"\n"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("identity.headers.…: "), "{found:?}");
    }
}

#[test]
fn a_part_of_the_access_log_is_a_share_and_goes_with_one_that_is_on() {
    let log = |lines: &str| format!("{TEN_LINES}\n[log]\n{lines}\n");
    for fine in ["access = true", "access = false", "sample = \"10%\"", "format = \"logfmt\""] {
        assert_eq!(problems(&log(fine)), Vec::<String>::new(), "{fine}");
    }
    for (wrong, said) in [
        ("sample = 0.1", "20:10: log.sample: found a number, expected a share such as \"10%\""),
        ("sample = \"0.1\"", "log.sample: found \"0.1\", expected a share from \"0.0001%\" to"),
        ("sample = \"0%\"", "log.sample: found \"0%\", expected a share from"),
        ("sample = \"200%\"", "log.sample: found \"200%\", expected a share from"),
        ("access = \"off\"", "log.access: found"),
        ("access = false\nsample = \"10%\"", "log.sample: goes with an access log, which"),
        ("format = \"common\"", "log.format: found \"common\", expected"),
    ] {
        let found = problems(&log(wrong));
        assert!(found.len() == 1 && found[0].contains(said), "{wrong}: {found:?}");
    }
}

#[test]
fn a_collector_is_a_url_whose_key_stays_private() {
    let log = |lines: &str| format!("{TEN_LINES}\n[log]\n{lines}\n");
    let url = |otlp: &str| {
        let config = Config::read(&log(otlp), &Secrets::Literal).unwrap_or_else(|problems| {
            panic!("{otlp}: {:?}", problems.iter().map(|p| &p.text).collect::<Vec<_>>())
        });
        config.log.otlp.map(|otlp| otlp.url.to_string()).unwrap_or_default()
    };
    for (otlp, whole) in [
        ("otlp = \"http://127.0.0.1:4318\"", "http://127.0.0.1:4318/v1/traces"),
        ("otlp = \"http://collector:4318/\"", "http://collector:4318/v1/traces"),
        ("otlp = \"https://vendor.test/otlp\"", "https://vendor.test/otlp/v1/traces"),
        ("otlp = { endpoint = \"http://a/v1/traces\" }", "http://a/v1/traces"),
        (
            "otlp = { endpoint = \"https://a\", sample = \"1%\", headers = { x-key = \"k\" } }",
            "https://a/v1/traces",
        ),
        (
            "otlp = { endpoint = \"http://[::1]:1\", headers = { x-key = \"k\" } }",
            "http://[::1]:1/v1/traces",
        ),
    ] {
        assert_eq!(url(otlp), whole);
    }
    for (wrong, said) in [
        (
            "otlp = \"127.0.0.1:4318\"",
            "log.otlp: found \"127.0.0.1:4318\", expected the collector's URL",
        ),
        ("otlp = \"grpc://127.0.0.1:4317\"", "log.otlp: found"),
        ("otlp = \"http://u:p@127.0.0.1\"", "log.otlp: "),
        ("otlp = \"http://127.0.0.1/?key=a\"", "log.otlp: "),
        ("otlp = true", "log.otlp: found true or false, expected the collector's URL"),
        ("otlp = { sample = \"1%\" }", "endpoint = \"http://127.0.0.1:4318\""),
        ("otlp = { endpoint = \"http://a\", sample = \"0%\" }", "log.otlp.sample: found"),
        ("otlp = { endpoint = \"http://a\", service = \"\" }", "log.otlp.service: found"),
        ("otlp = { endpoint = \"http://a\", ratio = 1 }", "log.otlp.ratio: unknown key"),
        (
            "otlp = { endpoint = \"http://a\", headers = { x-key = \"k\" } }",
            "log.otlp.endpoint: `headers` would travel unencrypted",
        ),
        (
            "otlp = { endpoint = \"https://a\", headers = { \"x key\" = \"k\" } }",
            "expected the name of a header",
        ),
        (
            "otlp = { endpoint = \"https://a\", headers = { x-key = \"a\\nb\" } }",
            "characters that a header cannot carry",
        ),
    ] {
        let found = problems(&log(wrong));
        assert!(found.len() == 1 && found[0].contains(said), "{wrong}: {found:?}");
    }
}
