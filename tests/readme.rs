//! The README, the guides and the annotated example do what they say: every
//! configuration block is read, every command is run, every output shown is the
//! real one. A block that no test knows is a failure.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test they serve"
)]

#[path = "readme/apps.rs"]
mod apps;
#[path = "readme/example.rs"]
mod example;
#[path = "readme/frameworks.rs"]
mod frameworks;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use pages::{all_blocks, ten_lines, texts};

#[path = "readme/gallery.rs"]
mod gallery;
#[path = "readme/gates.rs"]
mod gates;
#[path = "readme/links.rs"]
mod links;
#[path = "readme/pages.rs"]
mod pages;
#[path = "readme/quick_start.rs"]
mod quick_start;
#[path = "readme/reference.rs"]
mod reference;
#[path = "readme/security.rs"]
mod security;

/// Pages whose TOML blocks have tests of their own: parts of a file, or other secrets.
const PARTS: [&str; 4] = [frameworks::PAGE, gallery::PAGE, gates::PAGE, quick_start::PAGE];
const SECRETS: [(&str, &str); 11] = [
    ("ASSERTION_KEY", "only-for-this-test-and-nothing-else-0123456789"),
    ("OPENAI_API_KEY", "sk-only-for-this-test"),
    ("CONVEX_KEY_2026_01", include_str!("fixtures/tokens/keys/rsa-pkcs8.pem")),
    ("CONVEX_KEY_2026_07", include_str!("fixtures/tokens/keys/ec-p256-pkcs8.pem")),
    ("DATABASE_URL", "postgres://u@127.0.0.1:1/app"),
    ("NEXTAUTH_SECRET", "only-for-this-test-0123456789abcdef"),
    ("REDIS_URL", "redis://127.0.0.1:1"),
    ("SHARED_KEY_2026_01", "only-for-this-test-shared-2026-01-abcdef"),
    ("SHARED_KEY_2026_07", "only-for-this-test-shared-2026-07-abcdef"),
    ("SESSION_SECRET", "only-for-this-test-0123456789abcdef"),
    ("PORTIVE_API_KEY", "PRTV_onlyForTest_0123456789abcdef"),
];

/// Lines of other programs: `tests/interop/fronts.test.mjs`, `rewrites.test.mjs` and `package.test.mjs` run
/// them, or put their questions to the gateway.
const FRONTS: [(&str, &str); 11] = [
    ("caddy", "caddyfile"),
    ("docker", "sh"),
    ("envoy", "yaml"),
    ("haproxy", "haproxy"),
    ("ingress-nginx", "yaml"),
    ("nginx", "nginx"),
    ("rewrites", "js"),
    ("rewrites", "json"),
    ("rewrites", "text"),
    ("systemd", "sh"),
    ("traefik", "yaml"),
];

/// Commands shown, each of which a test below runs; `tests/run` runs all tests.
const COMMANDS: [&str; 6] = [
    "cargo run --release -- demo",
    "portcullis check --env-file .env",
    "portcullis run --env-file .env",
    "portcullis selftest https://app.example.com --cookie-file cookie.txt",
    "portcullis session --cookie 'next-auth.session-token=not-a-session'",
    "tests/run",
];

/// How a `text` block begins, and where it stands. All but the picture are
/// outputs that a test below compares.
const OUTPUTS: [(&str, &str); 4] = [
    ("README.md", "browser ──▶ Portcullis ──▶ your app\n"),
    ("README.md", "gateway.toml:15:7: token.portive.ttl: "),
    ("deploy/guides/howto/published-keys.md", "token.convex: key \"2026-07\" (ES256): "),
    ("deploy/guides/howto/refused-user.md", "refused: malformed: …\n"),
];

/// A folder of this test's own, with a gateway.toml in it.
fn folder(name: &str, config: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("gateway.toml"), config).unwrap();
    if config.contains("file:internal-ca.pem") {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        fs::write(folder.join("internal-ca.pem"), certificate.pem()).unwrap();
    }
    // The certificate that blocks with `tls` name.
    let site = rcgen::generate_simple_self_signed(vec!["app.example.com".to_owned()]).unwrap();
    fs::write(folder.join("site.pem"), site.cert.pem()).unwrap();
    fs::write(folder.join("site-key.pem"), site.signing_key.serialize_pem()).unwrap();
    folder
}

fn portcullis(folder: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments).current_dir(folder).envs(SECRETS).stdin(Stdio::null());
    command
}

fn run(folder: &PathBuf, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = portcullis(folder, arguments).output().unwrap();
    (status.code().unwrap_or(-1), String::from_utf8(stdout).unwrap(), problems_of(stderr))
}

/// The output without warnings: blocks are short, and leave out limits; their secrets
/// are for these tests alone. `tests/it/warnings` holds the warnings.
fn problems_of(stderr: Vec<u8>) -> String {
    let said = String::from_utf8(stderr).unwrap();
    said.split_inclusive('\n').filter(|line| !line.contains(": warning: ")).collect()
}

/// A running command, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn terminate(&mut self) -> i32 {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.0.wait().unwrap().code().unwrap_or(-1)
    }
}

/// Where a gateway that was just started listens.
fn listening(gateway: &mut Running) -> String {
    let mut lines = BufReader::new(gateway.0.stderr.take().unwrap()).lines();
    let listening = lines.find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(&line.ok()?).ok()?;
        (line["message"] == "listening").then(|| line["address"].as_str().unwrap().to_owned())
    });
    listening.expect("the gateway says where it listens")
}

/// The status line of `GET path`, asked until something answers there.
fn get(address: &str, path: &str) -> String {
    asked(address, path, "").lines().next().unwrap_or_default().to_owned()
}

/// The whole answer to a GET with these fields, each with its line's end.
fn asked(address: &str, path: &str, fields: &str) -> String {
    for _ in 0..1_200 {
        if let Ok(mut stream) = TcpStream::connect(address) {
            let head = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n{fields}");
            write!(stream, "{head}Connection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            return answer;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("nothing listens on {address}");
}

#[test]
fn every_block_is_known_here() {
    for block in all_blocks() {
        let known = match block.language.as_str() {
            // `every_configuration_block_holds`, `frameworks` and `gallery` read these.
            "toml" => true,
            "sh" => block.text.lines().all(|command| COMMANDS.contains(&command)),
            // `tests/interop/identity.test.mjs` runs it.
            "python" => block.page == "deploy/guides/howto/identity.md",
            "text" => OUTPUTS
                .iter()
                .any(|(page, start)| block.page == *page && block.text.starts_with(start)),
            _ => false,
        };
        let page = block.page.strip_prefix("deploy/guides/howto/");
        let page = page.and_then(|page| page.strip_suffix(".md")).unwrap_or_default();
        let known = known || FRONTS.contains(&(page, block.language.as_str()));
        assert!(known, "{}: no test knows this block:\n{}", block.page, block.text);
    }
}

#[test]
fn every_configuration_block_holds() {
    let blocks = all_blocks();
    let outputs: Vec<&str> = texts_of(&blocks, "text");
    let whole = blocks
        .iter()
        .filter(|block| block.language == "toml" && !PARTS.contains(&block.page.as_str()));
    let mut read = 0;
    for block in whole {
        let folder = folder(&format!("readme-block-{read}"), &block.text);
        read += 1;
        let (code, said, problems) = run(&folder, &["check"]);
        assert_eq!((code, problems.as_str()), (0, ""), "{}", block.text);
        let (certificates, keys): (Vec<&str>, Vec<&str>) = said
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("form: "))
            .partition(|line| line.starts_with("certificate "));
        assert_eq!(certificates.len(), usize::from(block.text.contains("tls = [")), "{said}");
        // Keys that others know by name are listed first.
        let keys = keys.concat();
        let keys = keys.strip_suffix("ok\n").unwrap();
        assert!(keys.is_empty() || outputs.contains(&keys), "{said}");
    }
    assert!(read >= 10, "only {read} whole configurations were found");
}

fn texts_of<'b>(blocks: &'b [pages::Block], language: &str) -> Vec<&'b str> {
    let of_language = blocks.iter().filter(|block| block.language == language);
    of_language.map(|block| block.text.as_str()).collect()
}

#[test]
fn the_problems_shown_are_the_problems_reported() {
    let broken = ten_lines().replace("ttl = \"1m\"", "ttl = 60").replace("limit =", "limt =");
    let folder = folder("readme-problems", &broken);
    let (code, stdout, stderr) = run(&folder, &["check"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(texts("README.md", "text").contains(&stderr), "the README should show:\n{stderr}");
}

#[test]
fn the_session_command_explains_a_refused_cookie() {
    let folder = folder("readme-session", &ten_lines());
    let (code, stdout, _) =
        run(&folder, &["session", "--cookie", "next-auth.session-token=not-a-session"]);
    assert_eq!(code, 1);
    assert!(stdout.starts_with("refused: malformed: "), "{stdout}");
}

#[test]
fn the_selftest_asks_a_deployment_and_says_what_it_found() {
    let config = ten_lines().replace("127.0.0.1:8080\"", "127.0.0.1:0\"\nadmin = false");
    let folder = folder("readme-selftest", &config);
    fs::write(folder.join("cookie.txt"), "Cookie: next-auth.session-token=not-a-session").unwrap();
    let mut gateway = Running::start(portcullis(&folder, &["run"]));
    let url = format!("http://{}", listening(&mut gateway));
    let command = COMMANDS.iter().find_map(|line| line.strip_prefix("portcullis selftest "));
    let arguments: Vec<&str> = command.unwrap().split(' ').skip(1).collect();
    let (code, said, _) = run(&folder, &[&["selftest", &url][..], &arguments].concat());
    assert!(code == 0 && said.contains("nothing found in "), "{said}");
    assert!(said.contains("is the user signed in"), "the cookie is none: {said}");
}

#[test]
fn the_ten_lines_run_and_stop() {
    let config = ten_lines().replace("127.0.0.1:8080\"", "127.0.0.1:0\"\nadmin = false");
    // Where no app of this machine is.
    let config = config.replace("127.0.0.1:3000", "127.0.0.1:1");
    let folder = folder("readme-run", &config);
    let lines: String = SECRETS
        .iter()
        .filter(|(name, _)| ["NEXTAUTH_SECRET", "PORTIVE_API_KEY"].contains(name))
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    fs::write(folder.join(".env"), lines).unwrap();
    // As a newcomer: the secrets are in the app's own file and nowhere else.
    let alone = |command: &str| {
        let mut run = portcullis(&folder, &command.split(' ').skip(1).collect::<Vec<_>>());
        for (name, _) in SECRETS {
            run.env_remove(name);
        }
        run
    };
    let check = COMMANDS.iter().find(|line| line.starts_with("portcullis check")).unwrap();
    assert!(alone(check).output().unwrap().status.success());
    let start = COMMANDS.iter().find(|line| line.starts_with("portcullis run")).unwrap();
    let mut gateway = Running::start(alone(start));
    let address = listening(&mut gateway);
    assert_eq!(get(&address, "/api/get-auth-token"), "HTTP/1.1 401 Unauthorized");
    assert_eq!(get(&address, "/"), "HTTP/1.1 502 Bad Gateway", "there is no app in this test");
    assert_eq!(gateway.terminate(), 0);
}

#[test]
fn the_demo_prints_an_address_that_answers() {
    let folder = folder("readme-demo", "");
    let mut demo = Running::start(portcullis(&folder, &["demo"]));
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.ok()?;
        let rest = line.split_once("http://127.0.0.1:").filter(|_| line.starts_with("Open "))?.1;
        Some(format!("127.0.0.1:{}", rest.split('/').next()?))
    });
    let address = address.expect("the demo says where to go");
    assert_eq!(get(&address, "/"), "HTTP/1.1 200 OK");
    assert_eq!(get(&address, "/api/get-auth-token"), "HTTP/1.1 401 Unauthorized");
    assert_eq!(demo.terminate(), 0);
}
