//! The rules a request must meet: the one its path falls under, and those of every other
//! reading of that path.
//!
//! The first rule that fits path and method decides for each reading. Rules of further
//! readings only ever add demands, so a reading that another server may choose never gets
//! weaker rules than the one that matched. Pure.

use http::Method;

use super::path::PathPattern;
use super::readings::{By, Readings, has_control};
use super::rule_index::RuleIndex;
use crate::upstream::Prefixes;

/// One rule of the table.
pub(crate) trait PathRule {
    fn pattern(&self) -> &PathPattern;
    /// Empty means any method.
    fn methods(&self) -> &[Method];
    /// Whether slipping past it would matter.
    fn guards(&self) -> bool;
}

/// The rules of a configuration, in the order of the file.
#[derive(Debug)]
pub(crate) struct Rules<R> {
    rules: Vec<R>,
    /// By the patterns as they stand, and settled.
    index: RuleIndex,
    settled: RuleIndex,
    /// Whether a rule's own path is one that servers read differently.
    has_odd: bool,
}

/// A request as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct RuleInput<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

/// Where a rule sends requests.
#[derive(Clone, Copy)]
pub(crate) struct Home<'p> {
    /// Tells one upstream from another.
    pub(crate) upstream: usize,
    /// Prefixes the app puts in front of paths; a vendor's API has no pages at all.
    pub(crate) prefixes: Option<&'p Prefixes>,
}

/// The rules a request must meet.
#[derive(Debug)]
pub(crate) struct Met<'r, R> {
    /// The rule of the path as sent.
    pub(crate) first: Option<&'r R>,
    /// The rules of its other readings.
    pub(crate) others: Vec<Other<'r, R>>,
}

#[derive(Debug)]
pub(crate) struct Other<'r, R> {
    pub(crate) rule: &'r R,
    /// Whether its upstream is the one the request goes to, so that what it sends there is
    /// meant for it.
    pub(crate) is_at_home: bool,
}

/// Why no set of rules fits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RulesUnfit {
    /// A control character where a reading is guarded.
    Control,
    /// Another reading belongs to another upstream.
    Elsewhere,
    TooMany,
    /// The methods of the rules that fit the path.
    WrongMethod(Vec<Method>),
}

#[derive(Clone, Copy)]
enum Compare {
    AsItStands,
    /// Without letter case, against the settled path of the rule.
    Settled,
}

impl<R: PathRule> Rules<R> {
    pub(crate) fn new(rules: Vec<R>) -> Self {
        let has_odd = rules.iter().any(|rule| rule.pattern().is_odd());
        let index = RuleIndex::new(rules.iter().map(|rule| rule.pattern().as_str().as_bytes()));
        let settled = RuleIndex::new(rules.iter().map(|rule| rule.pattern().as_settled()));
        Self { rules, index, settled, has_odd }
    }

    /// The rules that `asked` must meet. `home` says where a rule, or none, sends it.
    pub(crate) fn find<'r, 'p>(
        &'r self,
        asked: &RuleInput<'_>,
        home: impl Fn(Option<&'r R>) -> Home<'p>,
    ) -> Result<Met<'r, R>, RulesUnfit> {
        let mut met = Met { first: None, others: Vec::new() };
        if self.rules.is_empty() {
            return Ok(met);
        }
        met.first = self.decide(asked.path.as_bytes(), asked.method, Compare::AsItStands)?;
        let goes_to = home(met.first);
        let no_prefixes = Prefixes::default();
        let prefixes = goes_to.prefixes.unwrap_or(&no_prefixes);
        let readings = Readings::of(asked.path, asked.query, prefixes);
        match readings.map_err(|_| RulesUnfit::TooMany)? {
            Readings::Itself if !self.has_odd && !has_capital(asked.path.as_bytes()) => {}
            Readings::Itself => {
                self.add(asked.path.as_bytes(), By::Server, asked, &home, &mut met)?
            }
            Readings::Several(readings) => {
                for reading in &readings {
                    self.add(&reading.path, reading.by, asked, &home, &mut met)?;
                }
            }
        }
        let guarded = || met.all().any(R::guards);
        if has_control(asked.path) && guarded() {
            return Err(RulesUnfit::Control);
        }
        Ok(met)
    }

    /// Adds the rules that one reading falls under.
    fn add<'r, 'p>(
        &'r self,
        path: &[u8],
        by: By,
        asked: &RuleInput<'_>,
        home: &impl Fn(Option<&'r R>) -> Home<'p>,
        met: &mut Met<'r, R>,
    ) -> Result<(), RulesUnfit> {
        let goes_to = home(met.first);
        if !met.lets_count(by, goes_to) {
            return Ok(());
        }
        let mut found = [self.decide(path, asked.method, Compare::Settled)?, None, None];
        if self.has_odd {
            let lower = path.to_ascii_lowercase();
            found[1] = self.decide(path, asked.method, Compare::AsItStands)?;
            found[2] = self.decide(&lower, asked.method, Compare::AsItStands)?;
        }
        let found = if self.has_odd { &found[..] } else { &found[..1] };
        for &rule in found {
            let is_at_home = home(rule).upstream == goes_to.upstream;
            if !is_at_home && by == By::Server {
                return Err(RulesUnfit::Elsewhere);
            }
            if let Some(rule) = rule.filter(|rule| !met.has(rule)) {
                met.others.push(Other { rule, is_at_home });
            }
        }
        Ok(())
    }

    /// The first rule that fits path and method. If rules fit the path but none the method,
    /// the method is wrong: it must not slip past a guard. So is one that differs from a rule's
    /// in letter case only: to some apps `post` is POST.
    fn decide(
        &self,
        path: &[u8],
        method: &Method,
        compare: Compare,
    ) -> Result<Option<&R>, RulesUnfit> {
        let fits = |rule: &&R| match compare {
            Compare::AsItStands => rule.pattern().fits(path),
            Compare::Settled => rule.pattern().fits_settled(path),
        };
        let index = match compare {
            Compare::AsItStands => &self.index,
            Compare::Settled => &self.settled,
        };
        let takes = |rule: &&R| rule.methods().is_empty() || rule.methods().contains(method);
        let is_respelled = |named: &Method| {
            named != method && named.as_str().eq_ignore_ascii_case(method.as_str())
        };
        let candidates = || index.candidates(path).filter_map(|number| self.rules.get(number));
        let fitting = || candidates().filter(fits);
        let rule = fitting().find(takes);
        let may_be_respelled = method.as_str().bytes().any(|b| b.is_ascii_lowercase());
        let is_unclear = may_be_respelled && fitting().flat_map(R::methods).any(is_respelled);
        if !is_unclear && (rule.is_some() || fitting().next().is_none()) {
            return Ok(rule);
        }
        let mut methods: Vec<Method> = Vec::new();
        for method in fitting().flat_map(|rule| rule.methods()) {
            if !methods.contains(method) {
                methods.push(method.clone());
            }
        }
        Err(RulesUnfit::WrongMethod(methods))
    }
}

impl<'r, R: PathRule> Met<'r, R> {
    /// All of them, first the one of the path as sent.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'r R> {
        self.first.into_iter().chain(self.others.iter().map(|other| other.rule))
    }

    fn has(&self, rule: &R) -> bool {
        self.all().any(|known| std::ptr::eq(known, rule))
    }

    /// Whether a framework may serve the page of such a reading: not in a vendor's API. A rule
    /// that names this very address speaks for its own page, not for one in its query.
    fn lets_count(&self, by: By, goes_to: Home<'_>) -> bool {
        let is_app = goes_to.prefixes.is_some();
        match by {
            By::Framework => is_app && !self.first.is_some_and(|rule| rule.pattern().is_exact()),
            By::Query => is_app,
            By::Server => true,
        }
    }
}

fn has_capital(path: &[u8]) -> bool {
    path.iter().any(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests;
