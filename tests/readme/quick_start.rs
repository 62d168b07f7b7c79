//! Each whole file of the quick start: it holds, it reads a session of its framework, and the
//! gateway runs on it. Where the framework's session needs no store and does not end, the
//! browser's first request for a token brings one.

use portcullis::testing::{Node, Problems};

use super::frameworks::{filled, known, vector};
use super::pages::{page, texts};
use super::{Running, asked, folder, get, listening, portcullis};

pub(super) const PAGE: &str = "deploy/guides/howto/quick-start.md";

/// The session that each section's block reads, in the page's order, and the time to read it
/// at if the block's own age limit is shorter than the vector's.
const SECTIONS: [(&str, &str, Option<u64>); 12] = [
    ("Next.js", "authjs/basic", None),
    ("Nuxt", "h3-session/basic", None),
    ("SvelteKit", "authjs/basic", None),
    ("React Router", "react-router/basic", None),
    ("Express", "express-session/basic", None),
    ("Fastify", "fastify-secure-session/just-before-expiry", None),
    ("Django", "django/db", None),
    ("Flask", "flask/day-30", None),
    ("FastAPI", "starlette/day-13", None),
    ("Rails", "rails/session-user-id", None),
    ("Laravel", "laravel/database", Some(1_748_833_505)),
    ("Phoenix", "plug/phx-gen-auth", None),
];

#[test]
fn every_section_reads_a_session_of_its_framework_and_runs() {
    let (text, blocks) = (page(PAGE).text, texts(PAGE, "toml"));
    let titles: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(titles, SECTIONS.map(|(title, ..)| title));
    assert_eq!(blocks.len(), SECTIONS.len(), "one whole file for each");
    let mut signed_in = Vec::new();
    for (block, (title, id, now)) in blocks.iter().zip(SECTIONS) {
        let vector = vector(id);
        let (table, names) = filled(block, &vector);
        let now = now.unwrap_or_else(|| vector["now"].as_u64().unwrap());
        let identity = known(&table, &vector, now);
        let identity = identity.unwrap_or_else(|why| panic!("{title}: {why}"));
        assert_eq!(vector["expect"]["user_id"], identity.user_id(), "{title}");
        let work = folder("readme-quick-start", block);
        let checked = portcullis(&work, &["check"]).envs(names.clone()).output().unwrap();
        let said = String::from_utf8(checked.stderr).unwrap();
        assert!(checked.status.success(), "{title}: {said}");
        let config = block.replace("127.0.0.1:8080\"", "127.0.0.1:0\"\nadmin = false");
        std::fs::write(work.join("gateway.toml"), config).unwrap();
        let mut command = portcullis(&work, &["run"]);
        command.envs(names);
        let mut gateway = Running::start(command);
        let address = listening(&mut gateway);
        assert_eq!(get(&address, "/api/get-auth-token"), "HTTP/1.1 401 Unauthorized", "{title}");
        if vector["clock"] == "any" && !block.contains("[session.store]") {
            let cookie = format!("Cookie: {}\r\n", vector["cookie_header"].as_str().unwrap());
            let answer = asked(&address, "/api/get-auth-token", &cookie);
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{title}: {answer}");
            assert!(answer.contains("\"authToken\":\"ey"), "{title}: {answer}");
            signed_in.push(title);
        }
        assert_eq!(gateway.terminate(), 0, "{title}");
    }
    assert_eq!(signed_in, ["Next.js", "Nuxt", "SvelteKit", "React Router", "Rails"]);
}

#[test]
fn init_writes_the_session_of_the_section() {
    for (title, sample, kind) in [
        ("Next.js", "authjs-5-livekit", "authjs"),
        ("Nuxt", "nuxt", "h3-session"),
        ("SvelteKit", "sveltekit", "authjs"),
        ("React Router", "react-router", "react-router"),
        ("Express", "express-redis", "express-session"),
        ("Fastify", "fastify", "fastify-secure-session"),
        ("Django", "django", "django"),
        ("Flask", "flask", "flask"),
        ("FastAPI", "fastapi", "starlette"),
        ("Rails", "rails", "rails"),
        ("Laravel", "laravel", "laravel"),
        ("Phoenix", "phoenix", "plug"),
    ] {
        let project = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/projects");
        let project = format!("{project}/{sample}");
        let written = portcullis(&folder("readme-quick-init", ""), &["init", &project, "--print"]);
        let written = { written }.output().unwrap();
        let written = String::from_utf8(written.stdout).unwrap();
        let of = |text: &str| {
            Node::parse(text, &Problems::default()).to_json()["session"]["kind"].clone()
        };
        let index = SECTIONS.iter().position(|(known, ..)| *known == title).unwrap();
        assert_eq!(of(&written), kind, "{title}: {written}");
        assert_eq!(of(&texts(PAGE, "toml")[index]), kind, "{title}");
    }
}
