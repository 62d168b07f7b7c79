//! Tokens made per second and algorithm, beside the bare signature of the same
//! bytes under the same key: what templates, JSON and the answer cost on top.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::testing::Identity;
use portcullis::testing::Now;
use portcullis::testing::Secrets;
use portcullis::testing::{At, Node, Problems};
use portcullis::testing::{Minter, Minting, Presets, Subject};
use serde_json::{Map, Value, json};

use crate::cookies::SECRET;
use crate::{Effort, median};

/// Each side signs for this long before it is the other's turn.
const SLICE: Duration = Duration::from_millis(20);
const NOW: Now = Now::at(1_790_000_000);

pub(crate) fn print(effort: &Effort) {
    for (algorithm, key) in [
        ("HS256", SECRET.to_owned()),
        ("RS256", pem("rsa-pkcs8.pem")),
        ("PS256", pem("rsa-pkcs8.pem")),
        ("ES256", pem("ec-p256-pkcs8.pem")),
        ("EdDSA", pem("ed25519-pkcs8.pem")),
    ] {
        let minter = minter(algorithm, &key);
        let message = signed_part(&mint(&minter));
        let bare = bare(algorithm, &key);
        let (mut minted, mut signed, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let rates = (rate(|| mint(&minter)), rate(|| bare(&message)));
            minted.push(rates.0);
            signed.push(rates.1);
            ratios.push(rates.0 / rates.1);
        }
        let [minted, signed, ratio] = [minted, signed, ratios].map(median);
        let length = message.len();
        println!(
            "sign {algorithm}, {length} bytes {minted:>11.0}/s   bare signature {signed:>9.0}/s   ratio {ratio:.3}"
        );
    }
}

/// A token of the size Supabase, Convex and their like take.
fn minter(algorithm: &str, key: &str) -> Minter {
    let table = Node::from_json(&json!({
        "kind": "jwt", "alg": algorithm, "secret": "key", "key": { "key": key, "kid": "2026-01" },
        "header": { "kid": "{key.kid}" },
        "claims": {
            "sub": "{session.user_id}", "email": "{session.email}", "iss": "https://app.example.com",
            "aud": "bench", "iat": "{now}", "exp": "{exp}",
        },
        "ttl": "1h", "cache": "never", "response": { "token": "{token}" },
    }));
    let problems = Problems::default();
    let at = At::new(&table, "token.bench", &problems, &Secrets::Literal);
    Minter::from_table("bench", &mut at.table().unwrap(), Presets::builtin()).unwrap()
}

fn mint(minter: &Minter) -> Vec<u8> {
    thread_local! {
        static ADA: Identity = Identity::assumed(
            "user-00000001".to_owned(),
            json!({ "user_id": "user-00000001", "email": "ada@example.com" }),
            None,
        );
    }
    ADA.with(|identity| {
        let inputs = Map::new();
        let subject = Subject { identity, inputs: &inputs, grant: &Value::Null };
        match minter.mint(black_box(&subject), NOW).unwrap() {
            Minting::Ready(token) => token.value().to_vec(),
            Minting::Call(_) | Minting::First(_) => unreachable!("no issuer is asked"),
        }
    })
}

/// Header and payload, which the signature is over.
fn signed_part(token: &[u8]) -> Vec<u8> {
    let end = token.iter().rposition(|byte| *byte == b'.').unwrap();
    token[..end].to_vec()
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// The signature alone, as the library offers it.
fn bare(algorithm: &str, key: &str) -> Sign {
    let random = SystemRandom::new();
    let rsa = |padding: &'static dyn RsaEncoding| -> Sign {
        let pair = RsaKeyPair::from_pkcs8(&der(key)).unwrap();
        Box::new(move |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        })
    };
    match algorithm {
        "HS256" => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
            Box::new(move |message| hmac::sign(&key, message).as_ref().to_vec())
        }
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "PS256" => rsa(&RSA_PSS_SHA256),
        "ES256" => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der(key));
            let pair = pair.unwrap();
            Box::new(move |message| pair.sign(&random, message).unwrap().as_ref().to_vec())
        }
        _ => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(key)).unwrap();
            Box::new(move |message| pair.sign(message).as_ref().to_vec())
        }
    }
}

fn pem(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokens/keys");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

/// Calls a second.
fn rate<T>(call: impl Fn() -> T) -> f64 {
    let begun = Instant::now();
    let mut calls = 0_u32;
    while begun.elapsed() < SLICE {
        for _ in 0..4 {
            black_box(call());
        }
        calls += 4;
    }
    f64::from(calls) / begun.elapsed().as_secs_f64()
}
