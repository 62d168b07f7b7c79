//! The cookies of a source as a browser will send them after a response.

use super::codec::time;
use super::cookie::Cookies;
use super::source::SessionReader;

/// One `Set-Cookie` field (RFC 6265 section 5.2).
struct SetCookie<'c> {
    name: &'c [u8],
    value: &'c [u8],
    /// Whether it only takes a cookie away.
    deletes: bool,
}

impl SessionReader {
    /// The cookies as they may be once the browser has stored those of a response
    /// (`Set-Cookie`); none if none of them is this source's.
    ///
    /// A name may be set more than once, for several paths or domains, and deleted for
    /// another: then each of its values that is not deleted may be the one that comes back.
    pub(crate) fn own_cookies_after(
        &self,
        cookies: Cookies<'_>,
        set: &[&[u8]],
        now: u64,
    ) -> Vec<Vec<u8>> {
        let set = set.iter().filter_map(|field| SetCookie::parse(field, now));
        let set: Vec<_> = set.filter(|set| self.reads_cookie(set.name)).collect();
        if set.is_empty() {
            return Vec::new();
        }
        let is_set = |name: &[u8]| set.iter().any(|set| set.name == name);
        let kept = cookies.iter().filter(|(name, _)| self.reads_cookie(name) && !is_set(name));
        let kept: Vec<_> = kept.map(|(name, value)| [name, b"=", value].concat()).collect();
        let mut names: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
        for set in set.iter().filter(|set| !set.deletes) {
            match names.iter_mut().find(|(name, _)| *name == set.name) {
                Some((_, values)) => values.push(set.value),
                None => names.push((set.name, vec![set.value])),
            }
        }
        let most = names.iter().map(|(_, values)| values.len()).max().unwrap_or(1);
        let with_the = |turn: usize| {
            let pairs = names.iter().filter_map(|(name, values)| {
                let value = values.get(turn).or_else(|| values.last())?;
                Some([name, &b"="[..], value].concat())
            });
            pairs.chain(kept.iter().cloned()).collect::<Vec<_>>().join(&b"; "[..])
        };
        (0..most).map(with_the).collect()
    }
}

impl<'c> SetCookie<'c> {
    fn parse(field: &'c [u8], now: u64) -> Option<Self> {
        let mut parts = field.split(|&b| b == b';');
        let (name, value) = split(parts.next()?);
        let (mut max_age, mut expires) = (None, None);
        for (name, value) in parts.map(split) {
            let value = value.and_then(|value| std::str::from_utf8(value).ok());
            if name.eq_ignore_ascii_case(b"max-age") {
                max_age = value.and_then(seconds).or(max_age);
            } else if name.eq_ignore_ascii_case(b"expires") {
                expires = value.and_then(time::parse).or(expires);
            }
        }
        // `Max-Age` has precedence (RFC 6265 section 5.3).
        let is_over = match (max_age, expires) {
            (Some(seconds), _) => seconds <= 0,
            (None, Some(at)) => at <= now,
            (None, None) => false,
        };
        let value = value?;
        Some(Self { name, value, deletes: is_over || value.is_empty() })
    }
}

/// Digits, or a minus before them; a number too large to hold is a long time all the same.
fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let largest = if digits.len() == text.len() { i64::MAX } else { i64::MIN };
    is_number.then(|| text.parse().unwrap_or(largest))
}

/// A name, and the value behind `=`, without blanks around them.
fn split(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match part.iter().position(|&b| b == b'=') {
        Some(at) => {
            let (name, value) = part.split_at(at);
            (name.trim_ascii(), value.get(1..).map(<[u8]>::trim_ascii))
        }
        None => (part.trim_ascii(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::vectors::compile;

    /// The first second of 2026.
    const NOW: u64 = 1_767_225_600;

    fn after(cookies: &str, set: &[&str]) -> Vec<String> {
        let settings = serde_json::json!({
            "kind": "cookie-session", "cookie": "s", "secret": "k", "user_id": "/id",
        });
        let source = compile(&settings).unwrap();
        let set: Vec<_> = set.iter().map(|set| set.as_bytes()).collect();
        let after = source.own_cookies_after(Cookies::new(cookies.as_bytes()), &set, NOW);
        after.into_iter().map(|cookies| String::from_utf8(cookies).unwrap()).collect()
    }

    #[test]
    fn a_cookie_that_is_set_is_read_whatever_is_deleted_beside_it() {
        let deletions = [
            "s=; Path=/old; Max-Age=0",
            "s=deleted; Path=/old; max-age = 0 ",
            "s=x; Max-Age=-1; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            "s=x; Max-Age=-99999999999999999999",
            "s=; Domain=.example.com",
            "s=deleted; expires=Thu, 01 Jan 1970 00:00:01 GMT; path=/",
            "s=x; Expires=Thu, 01-Jan-1970 00:00:10 GMT; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ];
        let living = [
            "s=new; Path=/; HttpOnly",
            " s = new ;Max-Age=99999999999999999999; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "s=new; Max-Age=; Path=/",
            "s=new; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            "s=new; Max-Age=x",
        ];
        for deletion in deletions {
            assert_eq!(after("s=old", &[deletion]), [""], "{deletion}");
            for set in living {
                assert_eq!(after("s=old", &[set]), ["s=new"], "{set}");
                assert_eq!(after("s=old", &[deletion, set]), ["s=new"], "{deletion} {set}");
                assert_eq!(after("s=old", &[set, deletion]), ["s=new"], "{set} {deletion}");
            }
        }
    }

    #[test]
    fn each_of_several_values_may_come_back() {
        let twice = ["s=a; Path=/a", "s=b; Path=/", "s.sig=c", "s=d; Path=/d; Max-Age=0", "t=e"];
        assert_eq!(after("s=old; t=f", &twice), ["s=a; s.sig=c", "s=b; s.sig=c"]);
        assert_eq!(after("s=old; s.sig=g; t=f", &["s=a"]), ["s=a; s.sig=g"]);
        assert_eq!(after("s=old", &["t=a", "mys=b", "S=c", "s"]), Vec::<String>::new());
    }
}
