//! Every fuzz target over its seeds and a fixed set of mutations of them: what
//! libFuzzer does for minutes (`tests/fuzz/run`), here for seconds and without
//! anything but cargo.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target panics where a promise is broken"
)]

mod mutations;
mod targets;

use std::collections::BTreeSet;

use mutations::Mutations;
use targets::{ALL, cookies, vectors};

/// Inputs made of each target's seeds.
const INPUTS: usize = 15_000;

fn fuzz(name: &str) {
    let target = targets::named(name);
    let seeds = (target.seeds)();
    assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
    seeds.iter().for_each(|seed| (target.run)(seed));
    let mut mutations = Mutations::new(name);
    for number in 0..INPUTS {
        let input = mutations.of(&seeds[number % seeds.len()], &seeds);
        let found = std::panic::catch_unwind(|| (target.run)(&input));
        assert!(found.is_ok(), "{name}: input {number}: {:?}", String::from_utf8_lossy(&input));
    }
}

macro_rules! smoke {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })*

        #[test]
        fn every_target_is_smoked() {
            let smoked = [$(stringify!($name)),*];
            assert_eq!(ALL.map(|target| target.name).as_slice(), smoked);
        }
    };
}

smoke!(carriers cookies_a cookies_b cookies_c decoders heads settings signed splitter stored templates);

#[test]
fn every_kind_is_fuzzed() {
    let fuzzed = cookies::SHARES.iter().flat_map(|share| share.kinds());
    let fuzzed: BTreeSet<_> = fuzzed.collect();
    let kinds: BTreeSet<_> = vectors::kinds().into_iter().collect();
    assert_eq!(fuzzed, kinds);
    assert!(kinds.len() >= 23, "{kinds:?}");
}
