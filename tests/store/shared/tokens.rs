//! Tokens that replicas share: minted once, unreadable in the store, bound to their user.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use redis::Commands as _;

use super::replicas::{at_once, count, replicas, shared};
use crate::servers::{Server, redis};
use crate::support::running::{Running, file_of};
use crate::support::{App, Gateway, Setup, Stopwatch, cookie_of, eventually, folder, get};

const PATH: &str = "/api/realtime";
const KEYS: &str =
    "tokens = true\ntimeout = \"5s\"\nkey = \"0123456789-canary-key-abcdefghijklmn\"";

/// An issuer that numbers its tokens and takes its time.
struct Vendor {
    address: String,
    minted: Arc<AtomicUsize>,
    delay_ms: Arc<AtomicU64>,
}

impl Vendor {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (minted, delay_ms) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(50)));
        let (ours, delay) = (minted.clone(), delay_ms.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (ours, delay) = (ours.clone(), delay.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &ours, &delay));
            }
        });
        Self { address, minted, delay_ms }
    }

    fn minted(&self) -> usize {
        self.minted.load(Ordering::SeqCst)
    }

    /// `[token.realtime]` of this issuer.
    fn table(&self) -> String {
        format!(
            "[token.realtime]\npath = \"{PATH}\"\npreset = \"openai-realtime\"\nkey = \"sk-canary\"\n\
             url = \"http://{}/v1/realtime/client_secrets\"\n\
             params = {{ expires_after = {{ anchor = \"created_at\", seconds = 600 }}, \
             session = {{ type = \"realtime\" }} }}\n",
            self.address
        )
    }
}

fn answer(stream: TcpStream, minted: &AtomicUsize, delay_ms: &AtomicU64) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" || line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).ok()?;
    let number = minted.fetch_add(1, Ordering::SeqCst) + 1;
    std::thread::sleep(Duration::from_millis(delay_ms.load(Ordering::SeqCst)));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    let body = format!("{{\"value\":\"ek_sealed_{number}\",\"expires_at\":{}}}", now + 600);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.get_mut().write_all((head + &body).as_bytes()).ok()
}

fn token(gateway: &Gateway, user: &str) -> serde_json::Value {
    let answer = gateway.ask(&get(PATH).header("Cookie", &cookie_of(user)));
    assert_eq!(answer.status, 200);
    answer.json()["value"].clone()
}

/// Names of sealed tokens.
fn sealed(server: &Server) -> Vec<String> {
    server.redis_client().keys("portcullis:t:*").unwrap()
}

#[test]
fn a_thousand_cold_requests_at_every_replica_cause_one_mint() {
    let (app, server, vendor) = (App::start(), redis(""), Vendor::start());
    let tables = shared(&server.url("redis"), KEYS) + &vendor.table();
    let gateways = replicas(8, &app, "", &tables);
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let request = get(PATH).header("Cookie", &cookie_of("ada"));
    let statuses = at_once(&addresses, &request, 25, 40);
    assert_eq!(count(&statuses, 200), 8 * 1000);
    assert_eq!(vendor.minted(), 1);
    let first = token(&gateways[0], "ada");
    assert!(gateways.iter().all(|gateway| token(gateway, "ada") == first));
    assert_ne!(token(&gateways[0], "bob"), first);
}

#[test]
fn a_replica_that_dies_while_minting_delays_no_other_for_long() {
    let (app, server, vendor) = (App::start(), redis(""), Vendor::start());
    vendor.delay_ms.store(20_000, Ordering::SeqCst);
    let tables =
        shared("URL", "tokens = true\ntimeout = \"5s\"\nkey = \"env:KEY\"") + &vendor.table();
    let text = file_of(&Setup::new(&app).token("").with(&tables));
    let text = text.replace("\"URL\"", "\"env:URL\"").replace("\"sk-canary\"", "\"env:SK\"");
    let (url, key) = (server.url("redis"), "0123456789-canary-key-abcdefghijklmn");
    let environment = [("URL", url.as_str()), ("KEY", key), ("SK", "sk-canary-0123456789abcdef")];
    let start = || Running::start_as(&folder().join("gateway.toml"), &text, &environment);
    let (dying, other) = (start(), start());
    let request = get(PATH).header("Cookie", &cookie_of("ada"));
    let mut asking = crate::support::Conn::open(&dying.address);
    asking.write(&request.bytes());
    eventually("it mints", || vendor.minted() == 1);
    vendor.delay_ms.store(0, Ordering::SeqCst);
    let usual = Stopwatch::start();
    let bob = get(PATH).header("Cookie", &cookie_of("bob"));
    assert_eq!(crate::support::Conn::open(&other.address).ask(&bob).status, 200);
    let usual = usual.elapsed();
    dying.signal("KILL");
    let began = Stopwatch::start();
    assert_eq!(crate::support::Conn::open(&other.address).ask(&request).status, 200);
    let (took, bar) = (began.elapsed(), Duration::from_secs(2) + usual);
    assert!(took <= bar, "took {took:?}, where another takes {usual:?}");
    assert_eq!(vendor.minted(), 3);
}

#[test]
fn a_dump_of_the_store_holds_no_token_key_or_user() {
    let (app, server, vendor) = (App::start(), redis(""), Vendor::start());
    let tables = shared(&server.url("redis"), KEYS) + &vendor.table();
    let gateways = replicas(1, &app, "limit = \"5/hour\"", &tables);
    let user = "canary-of-the-user-id";
    token(&gateways[0], user);
    assert_eq!(gateways[0].token(user).status, 200);
    gateways[0].live.identifier.revoke_user(user, gateways[0].live.clock.now());
    eventually("the stream", || {
        server.redis_client().exists::<_, bool>("portcullis:revocations").unwrap()
    });
    assert_eq!(sealed(&server).len(), 1);
    let () = redis::cmd("CONFIG")
        .arg("SET")
        .arg("rdbcompression")
        .arg("no")
        .query(&mut server.redis_client())
        .unwrap();
    let () = redis::cmd("SAVE").query(&mut server.redis_client()).unwrap();
    let dump = std::fs::read(server.folder.join("dump.rdb")).unwrap();
    assert!(dump.windows(10).any(|part| part == b"portcullis"), "something is there");
    assert!(!dump.windows(6).any(|part| part == b"canary" || part == b"ek_sea"));
    for key in server.redis_client().keys::<_, Vec<String>>("portcullis:*").unwrap() {
        let left: i64 = server.redis_client().pttl(&key).unwrap();
        assert!(left > 0 || key.ends_with(":revocations"), "{key} has no end");
    }
}

#[test]
fn a_value_that_was_moved_or_changed_is_not_believed() {
    let (app, server, vendor) = (App::start(), redis(""), Vendor::start());
    let tables = shared(&server.url("redis"), KEYS) + &vendor.table();
    let minting = replicas(1, &app, "", &tables);
    let ada = token(&minting[0], "ada");
    let name_of_ada = sealed(&server).remove(0);
    let bob = token(&minting[0], "bob");
    let name_of_bob = sealed(&server).into_iter().find(|name| *name != name_of_ada).unwrap();
    let mut client = server.redis_client();
    let value: Vec<u8> = client.get(&name_of_ada).unwrap();
    let () = client.set_ex(&name_of_bob, &value, 500).unwrap();
    let fresh = Setup::new(&app).token("").with(&tables).start();
    assert_eq!(token(&fresh, "ada"), ada, "found in the store");
    let found = token(&fresh, "bob");
    assert!(found != ada && found != bob, "another user's token, or a moved one");
    let () = client.set_ex(&name_of_ada, &value[..value.len() - 1], 500).unwrap();
    let fresh = Setup::new(&app).token("").with(&tables).start();
    assert_ne!(token(&fresh, "ada"), ada);
    assert_eq!(vendor.minted(), 4);
}

#[test]
fn a_new_key_seals_and_the_old_one_still_opens() {
    let (app, server, vendor) = (App::start(), redis(""), Vendor::start());
    let with = |keys: &str| {
        shared(&server.url("redis"), &format!("tokens = true\ntimeout = \"5s\"\nkey = {keys}"))
            + &vendor.table()
    };
    let (old, new) =
        ("\"0123456789-canary-old-abcdefghijklmn\"", "\"0123456789-canary-new-abcdefghijklmn\"");
    let before = Setup::new(&app).token("").with(&with(old)).start();
    let ada = token(&before, "ada");
    let after = Setup::new(&app).token("").with(&with(&format!("[{new}, {old}]"))).start();
    assert_eq!(token(&after, "ada"), ada);
    token(&after, "bob");
    assert_eq!(vendor.minted(), 2);
    let only_new = Setup::new(&app).token("").with(&with(new)).start();
    token(&only_new, "bob");
    assert_eq!(vendor.minted(), 2, "sealed under the new key");
}

#[test]
fn without_the_store_each_replica_mints_alone() {
    let (app, mut server, vendor) = (App::start(), redis(""), Vendor::start());
    let tables = shared(&server.url("redis"), KEYS) + &vendor.table();
    let gateways = replicas(2, &app, "", &tables);
    server.kill();
    for gateway in &gateways {
        token(gateway, "ada");
        token(gateway, "ada");
    }
    assert_eq!(vendor.minted(), 2);
}
