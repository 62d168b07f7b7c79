//! The `Cookie` header, split: compared with the plainest way to do it.

use portcullis::testing::Cookies;
use portcullis::testing::Duplicate;
use portcullis::testing::percent_decode;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "a=1; b=2; a=3",
        "a=\"q\"; b=\"; c=\"\"; d=x\"y",
        "a.0=x; a.1=y; a.3=z; a.10=t",
        "=v; n; ;; ==; a==b; \t a \t=\t v \t;",
        "a=%41%zz%4%%2525; b=s%3Aabc.d%2Fe",
    ]
    .into_iter()
    .map(|seed| seed.as_bytes().to_vec())
    .collect()
}

pub(crate) fn run(header: &[u8]) {
    let cookies = Cookies::new(header);
    let found: Vec<_> = cookies.iter().collect();
    assert_eq!(found, plainly(header));
    for (name, value) in &found {
        let same = found.iter().filter(|(other, _)| other == name).map(|(_, value)| *value);
        let same: Vec<_> = same.collect();
        for (rule, expected) in [(Duplicate::First, same.first()), (Duplicate::Last, same.last())] {
            // Empty counts as absent, and what is too long is refused.
            let expected = expected.copied().filter(|value| !value.is_empty());
            if let Ok(picked) = cookies.get(name, rule) {
                assert_eq!(picked, expected);
            }
        }
        let equal = same.iter().all(|value| value == &same[0]);
        assert!(cookies.get(name, Duplicate::Reject).is_err() || equal);
        for separator in [".", "__"] {
            if let Ok(Some(joined)) = cookies.get_chunked(name, separator, Duplicate::First) {
                assert!(joined.len() <= header.len());
            }
        }
        assert!(percent_decode(value).len() <= value.len());
    }
}

fn plainly(header: &[u8]) -> Vec<(&[u8], &[u8])> {
    fn trim(text: &[u8]) -> &[u8] {
        match text {
            [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] => trim(rest),
            _ => text,
        }
    }
    let pair = |part| {
        let part: &[u8] = part;
        let at = part.iter().position(|&byte| byte == b'=')?;
        let value = match trim(&part[at + 1..]) {
            [b'"', inner @ .., b'"'] => inner,
            value => value,
        };
        Some((trim(&part[..at]), value))
    };
    header.split(|&byte| byte == b';').filter_map(pair).collect()
}
