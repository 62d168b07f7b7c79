//! Finds the few rules that may fit a path among many.
//!
//! A pattern fits only paths that begin with its own text, so both have the same first
//! segment. Rules are kept by a hash of it, without letter case; those that share a hash by
//! chance are sorted out when the path is compared. Pure.

/// The numbers of rules, in the order of the file.
#[derive(Debug)]
pub(super) struct RuleIndex {
    /// By the hash of the first segment.
    buckets: Vec<Vec<usize>>,
    /// Rules without a first segment, such as `/**`.
    everywhere: Vec<usize>,
}

impl RuleIndex {
    /// `texts` are the patterns' own, without `/*` and `/**` at the end.
    pub(super) fn new<'t>(texts: impl ExactSizeIterator<Item = &'t [u8]>) -> Self {
        let buckets = vec![Vec::new(); texts.len().next_power_of_two()];
        let mut index = Self { buckets, everywhere: Vec::new() };
        for (number, text) in texts.enumerate() {
            let place = index.place(text).and_then(|place| index.buckets.get_mut(place));
            place.unwrap_or(&mut index.everywhere).push(number);
        }
        index
    }

    /// Every rule that may fit the path, in the order of the file.
    pub(super) fn candidates(&self, path: &[u8]) -> impl Iterator<Item = usize> {
        let bucket = self.place(path).and_then(|place| self.buckets.get(place));
        let mut here = bucket.into_iter().flatten().copied().peekable();
        let mut everywhere = self.everywhere.iter().copied().peekable();
        std::iter::from_fn(move || match (here.peek(), everywhere.peek()) {
            (Some(one), Some(other)) if other < one => everywhere.next(),
            (Some(_), _) => here.next(),
            (None, _) => everywhere.next(),
        })
    }

    /// The bucket of a path; `None` if it has no first segment.
    fn place(&self, path: &[u8]) -> Option<usize> {
        let segment = path.strip_prefix(b"/")?.split(|&byte| byte == b'/').next()?;
        // FNV-1a. Only the author of the file could choose patterns that collide.
        let hash = segment.iter().fold(0x811c_9dc5_usize, |hash, byte| {
            (hash ^ usize::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193)
        });
        Some(hash & (self.buckets.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::path::PathPattern;

    const PATTERNS: [&str; 14] = [
        "/**", "/*", "/", "/a", "/a/*", "/a/**", "/A/b", "/a/b/**", "/b", "/%61", "//", "/a//b",
        "/a;x/**", "/c/./d",
    ];
    const PATHS: [&str; 17] = [
        "", "*", "/", "//", "//a", "/a", "/A", "/a/", "/a/b", "/A/B", "/a/b/c", "/a//b", "/b",
        "/%61", "/a;x/y", "/c/d", "/c/./d",
    ];

    /// The rules that fit by an index of `text`, and those that fit at all.
    fn found(
        text: impl Fn(&PathPattern) -> &[u8],
        fits: impl Fn(&PathPattern, &[u8]) -> bool,
        path: &[u8],
    ) -> (Vec<usize>, Vec<usize>) {
        let patterns = PATTERNS.map(|pattern| PathPattern::parse(pattern).unwrap());
        let index = RuleIndex::new(patterns.iter().map(text));
        let fitting = |&number: &usize| fits(&patterns[number], path);
        (
            index.candidates(path).filter(fitting).collect(),
            (0..patterns.len()).filter(fitting).collect(),
        )
    }

    #[test]
    fn every_rule_that_fits_is_found_in_the_order_of_the_file() {
        for path in PATHS.map(str::as_bytes) {
            let (some, all) = found(|p| p.as_str().as_bytes(), PathPattern::fits, path);
            assert_eq!(some, all, "{}", path.escape_ascii());
            let (some, all) = found(PathPattern::as_settled, PathPattern::fits_settled, path);
            assert_eq!(some, all, "settled: {}", path.escape_ascii());
        }
    }

    #[test]
    fn of_a_thousand_rules_few_are_compared() {
        let texts: Vec<_> =
            (0..1000).map(|number| format!("/area-{number}").into_bytes()).collect();
        let index = RuleIndex::new(texts.iter().map(Vec::as_slice));
        let longest = texts.iter().map(|path| index.candidates(path).count()).max().unwrap();
        assert!(longest < 10, "{longest}");
    }

    #[test]
    fn without_rules_there_are_no_candidates() {
        assert_eq!(RuleIndex::new([].into_iter()).candidates(b"/a").count(), 0);
    }
}
