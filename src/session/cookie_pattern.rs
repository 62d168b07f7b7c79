//! Cookies with a user's name in theirs, as AWS Amplify sets them:
//! `CognitoIdentityServiceProvider.CLIENT.USER.idToken`, the user's name escaped, and
//! escaped once more with the whole.

use std::borrow::Cow;

use super::cookie::{Cookies, Encoding};
use super::rejected::{Reason, Rejected};
use crate::base::text::percent_decode;

/// A name with one `*` in it, for the text that differs from user to user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CookiePattern {
    prefix: String,
    suffix: String,
    /// The cookie whose value is that text, for the user who signed in last.
    last_user: Option<String>,
}

impl CookiePattern {
    /// `None` if the name has no `*`.
    pub(crate) fn parse(name: &str, last_user: Option<String>) -> Option<Self> {
        let (prefix, suffix) = name.split_once('*')?;
        let amplify = prefix.starts_with("CognitoIdentityServiceProvider.");
        let last_user = last_user.or_else(|| amplify.then(|| format!("{prefix}LastAuthUser")));
        Some(Self { prefix: prefix.to_owned(), suffix: suffix.to_owned(), last_user })
    }

    /// The name with a `*` in the user's place, of a token that Amplify keeps.
    pub(crate) fn of_amplify(name: &str) -> Option<String> {
        let (client, rest) =
            name.strip_prefix("CognitoIdentityServiceProvider.")?.split_once('.')?;
        let (user, token) = rest.rsplit_once('.')?;
        let is_token = ["accessToken", "idToken"].contains(&token) && !user.is_empty();
        is_token.then(|| format!("CognitoIdentityServiceProvider.{client}.*.{token}"))
    }

    pub(crate) fn last_user(&self) -> Option<&str> {
        self.last_user.as_deref()
    }

    /// Whether a cookie of this name is one of the pattern's.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        self.user(name).is_some()
    }

    /// The text in the place of the `*`, unescaped.
    fn user(&self, name: &[u8]) -> Option<Vec<u8>> {
        let name = unescaped(name);
        let user = name.strip_prefix(self.prefix.as_bytes())?;
        let user = user.strip_suffix(self.suffix.as_bytes())?;
        (!user.is_empty()).then(|| user.to_vec())
    }

    /// The cookie of the user who signed in last, or else the only one there is.
    /// Its name and its value.
    pub(crate) fn find<'r>(
        &self,
        cookies: Cookies<'r>,
    ) -> Result<(&'r str, Cow<'r, [u8]>), Rejected> {
        let own = |name: &str| cookies.iter().find(|(sent, _)| *sent == name.as_bytes());
        let last = self.last_user().and_then(own).map(|(_, value)| unescaped(value));
        let mut found = None;
        for (name, value) in cookies.iter() {
            let Some(user) =
                self.user(name).filter(|user| last.as_ref().is_none_or(|last| last == user))
            else {
                continue;
            };
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let value = Encoding::Percent.decode(Cow::Borrowed(value));
            match &found {
                Some((other, _)) if *other == user => {}
                Some(_) => return Err(self.ambiguous()),
                None => found = Some((user, (name, value))),
            }
        }
        let Some((_, found)) = found else {
            return Err(self.missing(self.last_user().filter(|_| last.is_some())));
        };
        Ok(found)
    }

    /// `told_by` is the cookie that was sent and says whose token counts.
    fn missing(&self, told_by: Option<&str>) -> Rejected {
        let Self { prefix, suffix, .. } = self;
        let whose = told_by.map(|it| format!(" of the user that cookie `{it}` names"));
        let whose = whose.unwrap_or_default();
        Rejected::new(Reason::Missing, format!("no cookie `{prefix}*{suffix}`{whose}"))
    }

    fn ambiguous(&self) -> Rejected {
        let Self { prefix, suffix, .. } = self;
        let detail = format!(
            "the request has cookies `{prefix}*{suffix}` of several users, and nothing says which \
             one counts; write `cookie_user`, the name of the cookie that does"
        );
        Rejected::new(Reason::Ambiguous, detail)
    }
}

/// Unescaped twice: once for the name in it, once for the cookie.
fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let once = percent_decode(text).into_owned();
    Cow::Owned(percent_decode(&once).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "CognitoIdentityServiceProvider.c1.*.idToken";

    fn found(header: &str) -> Result<String, Reason> {
        let pattern = CookiePattern::parse(NAME, None).unwrap();
        let found = pattern.find(Cookies::new(header.as_bytes()));
        found
            .map(|(_, value)| String::from_utf8(value.into_owned()).unwrap())
            .map_err(|rejected| rejected.reason)
    }

    #[test]
    fn the_user_who_signed_in_last_counts() {
        let two = "CognitoIdentityServiceProvider.c1.a%2540x.example.idToken=A; \
                   CognitoIdentityServiceProvider.c1.b%2540x.example.idToken=B";
        let last =
            |user: &str| format!("CognitoIdentityServiceProvider.c1.LastAuthUser={user}; {two}");
        assert_eq!(found(&last("a%40x.example")), Ok("A".to_owned()));
        assert_eq!(found(&last("b%40x.example")), Ok("B".to_owned()));
        assert_eq!(found(&last("b%2540x.example")), Ok("B".to_owned()));
        assert_eq!(found(&last("c")), Err(Reason::Missing));
        assert_eq!(found(two), Err(Reason::Ambiguous));
    }

    #[test]
    fn one_user_needs_no_other_cookie() {
        assert_eq!(
            found("x=1; CognitoIdentityServiceProvider.c1.u-1.idToken=A"),
            Ok("A".to_owned())
        );
        for other in [
            "CognitoIdentityServiceProvider.c1.u-1.accessToken=A",
            "CognitoIdentityServiceProvider.c2.u-1.idToken=A",
            "CognitoIdentityServiceProvider.c1..idToken=A",
            "CognitoIdentityServiceProvider.c1.idToken=A",
            "",
        ] {
            assert_eq!(found(other), Err(Reason::Missing), "{other}");
        }
    }
}
