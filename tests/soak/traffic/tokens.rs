//! Tokens: cached, fresh, rationed, and for nobody.

use std::time::Instant;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};

use super::{Kept, Turn, user};
use crate::soak::Soak;
use crate::support::{Response, get};
use crate::world::Met;

pub(super) const PATH: &str = "/api/get-auth-token";

/// Whether this is a token for `user` that its vendor accepts.
pub(super) fn is_token(answer: &Response, user: &str) -> Result<(), Met> {
    if answer.status != 200 {
        return Err(Met::other_than_asked(answer, "a token"));
    }
    let key = DecodingKey::from_secret(b"canaryOfTheKey0123456789abcdef");
    let wrong = |what: String| Met::Wrong(format!("the token of {user}: {what}"));
    let token = answer.json()["authToken"].as_str().unwrap_or_default().to_owned();
    let claims = decode::<Value>(&token, &key, &Validation::new(Algorithm::HS256))
        .map_err(|error| wrong(error.to_string()))?
        .claims;
    if claims["tags"] != json!([format!("user:{user}")]) {
        return Err(wrong(claims.to_string()));
    }
    Ok(())
}

pub(super) fn kept(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let user = user(number);
        is_token(&kept.ask(&get(PATH).user(&user))?, &user)
    })
}

/// Never the same twice in the sense of the cache: made anew for each request.
pub(super) fn fresh(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let user = user(number);
        let request = get(PATH).user(&user).header("Cache-Control", "no-cache");
        is_token(&kept.ask(&request)?, &user)
    })
}

/// Asked for twice as often as `10/5s` admits.
pub(super) fn scarce(soak: &Soak) -> Turn<'_> {
    const RATE: f64 = 2.0;
    const BURST: f64 = 10.0;
    let (mut kept, mut admitted) = (Kept::new(soak), 0.0);
    let began = Instant::now();
    Turn::new(move |_| {
        let answer = kept.ask(&get("/api/scarce-token").user("greedy"))?;
        if answer.status == 429 {
            let wait = answer.header("retry-after").map(str::to_owned);
            let in_order = wait.as_deref() == Some("1") && answer.code() == "too_many_requests";
            return if in_order { Ok(()) } else { Err(Met::Wrong(format!("wait for {wait:?}"))) };
        }
        is_token(&answer, "greedy")?;
        admitted += 1.0;
        let seconds = began.elapsed().as_secs_f64();
        if admitted > BURST + RATE * seconds + 1.0 {
            return Err(Met::Wrong(format!("{admitted} rationed tokens in {seconds:.1} s")));
        }
        Ok(())
    })
}

pub(super) fn stranger(soak: &Soak) -> Turn<'_> {
    let mut kept = Kept::new(soak);
    Turn::new(move |number| {
        let cookie = format!("session=nobody{number}; connect.sid=s%3Anobody{number}.c2lnbmF0dXJl");
        let answer = kept.ask(&get(PATH).header("Cookie", &cookie))?;
        let refused = answer.status == 401 && answer.code() == "not_signed_in";
        if refused { Ok(()) } else { Err(Met::Wrong(format!("for nobody: {answer:?}"))) }
    })
}
