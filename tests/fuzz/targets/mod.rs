//! The fuzz targets: each is a plain function over bytes, with seeds.
//!
//! libFuzzer drives them (`tests/fuzz/run`), and so does the smoke test of the
//! main package (`main.rs` beside this folder), with the same mutations on every
//! run. A target panics where a promise is broken.

pub(crate) mod cookies;
pub(crate) mod heads;
pub(crate) mod settings;
pub(crate) mod signed;
pub(crate) mod splitter;
pub(crate) mod stored;
pub(crate) mod templates;
pub(crate) mod vectors;

/// One target: its name, its seeds, and its function.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    pub(crate) run: fn(&[u8]),
}

pub(crate) const ALL: [Target; 11] = [
    Target {
        name: "carriers",
        seeds: || cookies::CARRIERS.seeds(),
        run: |d| cookies::CARRIERS.run(d),
    },
    Target {
        name: "cookies_a",
        seeds: || cookies::SHARES[0].seeds(),
        run: |d| cookies::SHARES[0].run(d),
    },
    Target {
        name: "cookies_b",
        seeds: || cookies::SHARES[1].seeds(),
        run: |d| cookies::SHARES[1].run(d),
    },
    Target {
        name: "cookies_c",
        seeds: || cookies::SHARES[2].seeds(),
        run: |d| cookies::SHARES[2].run(d),
    },
    Target {
        name: "decoders",
        seeds: || stored::DECODERS.seeds(),
        run: |d| stored::DECODERS.run(d),
    },
    Target { name: "heads", seeds: heads::seeds, run: heads::run },
    Target { name: "settings", seeds: settings::seeds, run: settings::run },
    Target { name: "signed", seeds: signed::seeds, run: signed::run },
    Target { name: "splitter", seeds: splitter::seeds, run: splitter::run },
    Target { name: "stored", seeds: || stored::ALL.seeds(), run: |d| stored::ALL.run(d) },
    Target { name: "templates", seeds: templates::seeds, run: templates::run },
];

/// The target of this name.
pub(crate) fn named(name: &str) -> &'static Target {
    ALL.iter().find(|target| target.name == name).expect("a target of that name")
}

/// A number from the first two bytes, and the rest.
fn numbered(data: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = data.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_le_bytes(*number)), rest))
}

/// The opposite of `numbered`.
fn with_number(number: usize, rest: &[u8]) -> Vec<u8> {
    let number = u16::try_from(number).expect("fewer seeds than that").to_le_bytes();
    [&number, rest].concat()
}
