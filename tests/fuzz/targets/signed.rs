//! Content behind a signature: the decoders no fuzzer reaches without the
//! key. Here the input is signed first, as an app signs what its users wrote.

use std::sync::OnceLock;

use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use portcullis::testing::Secrets;
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{Cookies, SessionReader};
use serde_json::{Value, json};

use super::vectors::{cases, kinds};

const SECRET: &str = "a secret that only this fuzzer knows";
const ISSUED: u64 = 1_700_000_000;
const NOW: u64 = ISSUED + 60;

/// Largest session in memory, however little was sent.
const MOST: usize = 64 * 1024 * 1024;

/// A format, and how a payload becomes its cookie.
struct Signed {
    config: fn() -> Value,
    cookie: fn(&[u8]) -> String,
}

const SIGNED: [Signed; 7] = [
    // Erlang terms.
    Signed {
        config: || {
            let salt = json!({
                "kind": "plug", "cookie": "c", "signing_salt": "salt", "user_id": "/id",
            });
            with_secret(salt)
        },
        cookie: |payload| {
            let key = stretched(pbkdf2::PBKDF2_HMAC_SHA256, b"salt", 32);
            let signed = format!("SFMyNTY.{}", URL_SAFE_NO_PAD.encode(payload));
            let mac = mac(hmac::HMAC_SHA256, &key, signed.as_bytes());
            format!("c={signed}.{}", URL_SAFE_NO_PAD.encode(mac))
        },
    },
    // Flask's tags.
    Signed {
        config: || with_secret(json!({ "kind": "flask" })),
        cookie: |payload| flask(&URL_SAFE_NO_PAD.encode(payload)),
    },
    // zlib, and what comes out of it.
    Signed {
        config: || with_secret(json!({ "kind": "flask" })),
        cookie: |payload| flask(&format!(".{}", URL_SAFE_NO_PAD.encode(payload))),
    },
    // Rails' envelope.
    Signed {
        config: || {
            let jar = json!({ "kind": "rails", "cookie": "c", "jar": "signed", "user_id": "/id" });
            with_secret(jar)
        },
        cookie: |payload| {
            let key = stretched(pbkdf2::PBKDF2_HMAC_SHA256, b"signed cookie", 64);
            let signed = STANDARD.encode(payload);
            let mac = mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key, signed.as_bytes());
            format!("c={}", escaped(&format!("{signed}--{}", hex(&mac))))
        },
    },
    // Claims.
    Signed {
        config: || with_secret(json!({ "kind": "jwt", "cookie": "c" })),
        cookie: |payload| {
            let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
            let mac = mac(hmac::HMAC_SHA256, SECRET.as_bytes(), signed.as_bytes());
            format!("c={signed}.{}", URL_SAFE_NO_PAD.encode(mac))
        },
    },
    // A header of the token's own making.
    Signed {
        config: || with_secret(json!({ "kind": "jwt", "cookie": "c" })),
        cookie: |payload| {
            let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"u","exp":1700000120}"#);
            let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(payload));
            let mac = mac(hmac::HMAC_SHA256, SECRET.as_bytes(), signed.as_bytes());
            format!("c={signed}.{}", URL_SAFE_NO_PAD.encode(mac))
        },
    },
    // koa-session's JSON with its end inside.
    Signed {
        config: || with_secret(json!({ "kind": "koa-session", "user_id": "/id" })),
        cookie: |payload| {
            let value = STANDARD.encode(payload);
            let signed = format!("koa.sess={value}");
            let sha1 = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
            let mac = mac(sha1, SECRET.as_bytes(), signed.as_bytes());
            format!("{signed}; koa.sess.sig={}", URL_SAFE_NO_PAD.encode(mac))
        },
    },
];

fn with_secret(mut config: Value) -> Value {
    config["secret"] = SECRET.into();
    config
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
}

/// Plug and Rails stretch their secret a thousand times; once is enough here.
fn stretched(algorithm: pbkdf2::Algorithm, salt: &'static [u8], length: usize) -> Vec<u8> {
    static KEYS: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    let [plug, rails] = &KEYS;
    let derive = || {
        let rounds = std::num::NonZeroU32::new(1000).unwrap();
        let mut key = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, SECRET.as_bytes(), &mut key);
        key
    };
    if length == 32 { plug.get_or_init(derive) } else { rails.get_or_init(derive) }.clone()
}

/// itsdangerous: payload, time and signature.
fn flask(payload: &str) -> String {
    let sha1 = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
    let key = mac(sha1, SECRET.as_bytes(), b"cookie-session");
    let issued = u32::try_from(ISSUED).unwrap().to_be_bytes();
    let signed = format!("{payload}.{}", URL_SAFE_NO_PAD.encode(issued));
    let signature = URL_SAFE_NO_PAD.encode(mac(sha1, &key, signed.as_bytes()));
    format!("session={signed}.{signature}")
}

fn escaped(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sources() -> &'static [SessionReader] {
    static SOURCES: OnceLock<Vec<SessionReader>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let source = |signed: &Signed| {
            let (node, problems) = (Node::from_json(&(signed.config)()), Problems::default());
            let mut table =
                At::new(&node, "session", &problems, &Secrets::Literal).table().unwrap();
            let source = SessionReader::from_table(&mut table);
            assert!(problems.is_empty(), "{:?}", problems.into_sorted());
            source.unwrap()
        };
        SIGNED.iter().map(source).collect()
    })
}

/// The payloads of the vectors' own cookies that are only encoded.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        r#"{"_user_id":"1"," t":[1]," u":"00112233445566778899aabbccddeeff"}"#,
        r#"{" di":{" t__":1}," b":"aGk=","x":{" d":"Mon"}}"#,
        r#"{"_rails":{"message":"IjEi","exp":"2030-01-01T00:00:00.000Z","pur":"cookie.c"}}"#,
        r#"{"_rails":{"data":1,"exp":null,"pur":"cookie.c"}}"#,
        r#"{"sub":"u1","exp":1700000120,"nbf":1.5e9,"iat":"x","aud":["a"]}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"1","crit":["b64"],"b64":false,"zip":"DEF"}"#,
        r#"{"id":"u1","_expire":1700000120000,"_maxAge":86400000}"#,
    ]
    .into_iter()
    .flat_map(|text| (0..7).map(move |format| [&[format], text.as_bytes()].concat()))
    .collect();
    for case in cases(&kinds()) {
        for (_, value) in Cookies::new(&case.header).iter() {
            for part in value.split(|byte| b".:".contains(byte)) {
                let decoded = URL_SAFE.decode(part).or_else(|_| URL_SAFE_NO_PAD.decode(part));
                let Ok(payload) = decoded else { continue };
                if payload.len() > 8 {
                    seeds.push([&[0], &*payload].concat());
                    seeds.push([&[2], &*payload].concat());
                }
            }
        }
    }
    let unique: std::collections::BTreeSet<_> = seeds.into_iter().collect();
    unique.into_iter().collect()
}

pub(crate) fn run(data: &[u8]) {
    let Some((&format, payload)) = data.split_first() else { return };
    let format = usize::from(format) % SIGNED.len();
    let header = (SIGNED[format].cookie)(payload);
    let cookies = Cookies::new(header.as_bytes());
    if let Ok(identity) = sources()[format].check(cookies, NOW) {
        assert!(identity.size() <= MOST, "{} bytes", identity.size());
        assert!(!identity.user_id().is_empty());
        assert!(identity.is_valid_at(NOW));
    }
}

/// The signatures here are the ones the formats check.
#[cfg(test)]
#[test]
fn tokens_signed_here_are_accepted() {
    for (format, payload) in [
        (1, r#"{"_user_id":"1"}"#),
        (3, r#"{"_rails":{"data":{"id":"1"},"pur":"cookie.c"}}"#),
        (4, r#"{"sub":"1","exp":1700000120}"#),
        (5, r#"{"alg":"HS256"}"#),
        (6, r#"{"id":"1"}"#),
    ] {
        let header = (SIGNED[format].cookie)(payload.as_bytes());
        let found = sources()[format].check(Cookies::new(header.as_bytes()), NOW);
        assert!(found.is_ok(), "{format}: {found:?}");
    }
}
