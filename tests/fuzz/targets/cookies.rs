//! Cookie decoders, all kinds in three shares. Only a cookie signed with the app's
//! key may make a user known: no fuzzer knows the key, so an identity that no
//! vector's cookie holds is a forgery. A cookie may be written in several ways
//! (base64, escapes, chunks); therefore identities are compared, not bytes.

use std::sync::OnceLock;

use portcullis::testing::Cookies;

use super::vectors::{Case, carriers, cases, kinds, signed_claims};
use super::{numbered, with_number};

/// Some of the cookies, so that several targets search at once.
pub(crate) struct Share {
    part: Part,
    cases: OnceLock<Vec<Case>>,
}

enum Part {
    /// The ways in which apps carry a token in cookies.
    Carriers,
    /// A third of the kinds.
    Third(usize),
}

pub(crate) static SHARES: [Share; 3] =
    [Share::new(Part::Third(0)), Share::new(Part::Third(1)), Share::new(Part::Third(2))];

pub(crate) static CARRIERS: Share = Share::new(Part::Carriers);

/// A value this long is no name, and must not be in a message.
const TELLING: usize = 20;

/// Whether a value cannot be words of our own messages, which a fuzzer that
/// watches comparisons soon sends as cookies.
fn is_telling(value: &str) -> bool {
    value.len() >= TELLING && !value.contains(' ') && value.bytes().any(|b| b.is_ascii_digit())
}

impl Share {
    const fn new(part: Part) -> Self {
        Self { part, cases: OnceLock::new() }
    }

    /// Every third kind there is a fixture for.
    pub(crate) fn kinds(&self) -> Vec<String> {
        match self.part {
            Part::Carriers => Vec::new(),
            Part::Third(number) => kinds().into_iter().skip(number).step_by(SHARES.len()).collect(),
        }
    }

    fn cases(&self) -> &[Case] {
        self.cases.get_or_init(|| match self.part {
            Part::Carriers => carriers(),
            Part::Third(_) => cases(&self.kinds()),
        })
    }

    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let seed = |(index, case): (usize, &Case)| with_number(index, &case.header);
        self.cases().iter().enumerate().map(seed).collect()
    }

    pub(crate) fn run(&self, data: &[u8]) {
        let Some((number, header)) = numbered(data) else { return };
        let cases = self.cases();
        let case = &cases[number % cases.len()];
        let cookies = Cookies::new(header);
        match case.verdict(header) {
            Ok(identity) => {
                let is_authentic = match self.part {
                    // A token may be carried in another cookie, and in another way.
                    Part::Carriers => signed_claims().contains(&identity.session()),
                    Part::Third(_) => case.is_authentic(&identity, cases),
                };
                assert!(is_authentic, "{}: a forged session", case.id);
                assert!(case.source().digest(cookies).is_some(), "{}: not remembered", case.id);
                assert!(identity.is_valid_at(case.now), "{}: an expired session", case.id);
            }
            Err(rejected) => {
                let mut said = case.source().hints(cookies, &rejected);
                said.push(rejected.detail.into_owned());
                let said = said.join("\n");
                let is_in_a_name = |value: &str| {
                    cookies.iter().any(|(name, _)| String::from_utf8_lossy(name).contains(value))
                };
                for (_, value) in cookies.iter() {
                    let value = String::from_utf8_lossy(value);
                    // Names of cookies that are missing come from the settings.
                    let told = is_telling(&value)
                        && said.contains(&*value)
                        && !is_in_a_name(&value)
                        && !case.settings().contains(&*value);
                    assert!(!told, "{}: a message repeats a cookie", case.id);
                }
            }
        }
        same_digest_same_answer(case, header);
    }
}

/// Results are remembered under a digest: cookies with the digest of the
/// vector's own must fare as they do.
fn same_digest_same_answer(case: &Case, header: &[u8]) {
    let digest = |header| case.source().digest(Cookies::new(header));
    if header != case.header && digest(header).is_some() && digest(header) == digest(&case.header) {
        let (ours, theirs) = (case.verdict(header).ok(), case.verdict(&case.header).ok());
        assert!(ours == theirs, "{}: remembered under one digest", case.id);
    }
}
