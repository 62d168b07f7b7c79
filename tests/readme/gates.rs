//! The blocks for Bearer tokens and gates, each with a token that its vendor's own
//! library or documentation describes.

use super::frameworks::{filled, holds, known, vector};
use super::pages::texts;

pub(super) const PAGE: &str = "deploy/guides/howto/bearer-and-gates.md";

/// The files of vectors that these blocks read.
pub(super) const FILES: [&str; 6] =
    ["aws-alb", "bearer", "cloudflare-access", "google-iap", "pomerium", "trusted-header"];

/// The vector each block is shown to read, in the page's order.
const BLOCKS: [&str; 11] = [
    "bearer/auth0",
    "bearer/cognito",
    "bearer/clerk",
    "bearer/supabase",
    "bearer/firebase-id-token",
    "bearer/own-issuer",
    "cloudflare-access/header",
    "google-iap/header",
    "aws-alb/header",
    "pomerium/header",
    "trusted-header/with-claims",
];

#[test]
fn every_block_reads_a_token_of_its_vendor() {
    let found = texts(PAGE, "toml");
    assert_eq!(found.len(), BLOCKS.len(), "one vector for each block");
    for (block, id) in found.iter().zip(BLOCKS) {
        let vector = vector(id);
        let (table, names) = filled(block, &vector);
        let identity = known(&table, &vector, vector["now"].as_u64().unwrap());
        let identity = identity.unwrap_or_else(|why| panic!("{id}: {why}\n{block}"));
        assert_eq!(vector["expect"]["user_id"], identity.user_id(), "{id}\n{block}");
        holds("readme-gate", block, names);
    }
}
