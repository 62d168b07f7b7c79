//! Shared secrets that can be guessed from one token.

use crate::base::secret::Secret;
use crate::document::At;
use crate::mint::built_in::is_built_in;

/// Fewest bytes of a key that a vendor generates: the operator cannot make it longer.
const SHORTEST_OF_A_VENDOR: usize = 16;

/// Notes a secret shorter than `shortest` bytes, or of very few characters. Says only how
/// long it is. `name` is its member of the token's `key`.
pub(in crate::mint) fn weak_key(token: &At<'_>, name: &str, secret: &Secret, shortest: usize) {
    let preset = token.find(&["preset"]).and_then(|at| at.text("a name").map(str::to_owned));
    let shortest = if preset.is_some_and(|name| is_built_in(&name)) {
        shortest.min(SHORTEST_OF_A_VENDOR)
    } else {
        shortest
    };
    let length = secret.bytes().len();
    let found = if length < shortest {
        format!("found a shared secret of {length} bytes")
    } else if secret.is_monotonous() {
        "found a shared secret with very few distinct characters".to_owned()
    } else {
        return;
    };
    let at = token.find(&["key", name]).or_else(|| token.find(&["key"]));
    at.as_ref().unwrap_or(token).warn(format!(
        "{found}, which can be guessed from one token, expected {shortest} bytes or more; write \
         one that the vendor generated, or the output of `openssl rand -base64 {}`",
        shortest.next_multiple_of(16)
    ));
}
