//! Mutations of seeds, the same on every run.

/// A source of mutations (xorshift64*), seeded by a name.
pub(crate) struct Mutations(u64);

/// Texts that parsers of cookies, tokens and settings stumble over.
const TELLING: [&str; 24] = [
    "=",
    "==",
    ";",
    "; ",
    ".",
    "..",
    "--",
    "%",
    "%3D",
    "%00",
    "\0",
    "\"",
    "{",
    "}",
    "{{",
    "null",
    "[]",
    "-1",
    "99999999999999999999",
    "1e999",
    "\\u0000",
    "\u{feff}",
    "\u{e9}",
    "_",
];

impl Mutations {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.bytes().fold(0x9E37_79B9_7F4A_7C15, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3) | 1
        }))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap() % limit.max(1)
    }

    /// One input: the seed with a few changes, or crossed with another.
    pub(crate) fn of(&mut self, seed: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seed.to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut input, seeds);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let to = at + self.below((input.len() - at + 1).min(40));
        match self.below(9) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..to)),
            2 => {
                let telling = TELLING[self.below(TELLING.len())];
                input.splice(at..at, telling.bytes()).for_each(drop);
            }
            3 => {
                let telling = TELLING[self.below(TELLING.len())];
                input.splice(at..to, telling.bytes()).for_each(drop);
            }
            4 => {
                let copy = input[at..to].to_vec();
                let elsewhere = self.below(input.len() + 1);
                input.splice(elsewhere..elsewhere, copy).for_each(drop);
            }
            5 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied()).for_each(drop);
            }
            6 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            7 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = b"AZaz09+/-_="[self.below(11)];
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = u8::try_from(self.below(256)).unwrap();
                }
            }
        }
    }
}
