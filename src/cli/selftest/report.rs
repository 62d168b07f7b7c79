//! The findings, in words or as JSON.

use serde_json::{Value, json};

use super::finding::{Finding, FindingKind, FindingSeverity};
use super::probe::Ask;

#[derive(Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    /// Tests that could not be made, and why.
    pub(super) skipped: Vec<String>,
    /// Whether one of them is a named path, of which nothing is known then.
    lacks_a_path: bool,
    checks: usize,
}

impl Report {
    /// Counts a check, and notes what it found.
    pub(super) fn check(&mut self, ask: &Ask<'_>, found: Option<(FindingKind, String)>) {
        self.checks += 1;
        if let Some((kind, seen)) = found {
            self.add(kind, ask.name(), seen);
        }
    }

    pub(super) fn add(&mut self, kind: FindingKind, request: String, seen: String) {
        // One case of a kind at a path is enough to look into it.
        if !self.findings.iter().any(|known| known.kind == kind && known.request == request) {
            self.findings.push(Finding { kind, request, seen });
        }
    }

    pub(super) fn skip(&mut self, what: impl Into<String>) {
        self.skipped.push(what.into());
    }

    /// A path that was to be tested and could not be.
    pub(super) fn untested(&mut self, what: impl Into<String>) {
        self.skip(what);
        self.lacks_a_path = true;
    }

    /// Whether something was found that hurts, or may be there unseen.
    pub(super) fn fails(&self) -> bool {
        self.lacks_a_path
            || self.findings.iter().any(|it| it.kind.severity() < FindingSeverity::Low)
    }

    /// The findings, the worst first.
    fn sorted(&self) -> Vec<&Finding> {
        let mut sorted: Vec<_> = self.findings.iter().collect();
        sorted.sort_by_key(|finding| (finding.kind.severity(), finding.kind));
        sorted
    }

    pub(super) fn as_text(&self, requests: usize) -> String {
        let mut text = String::new();
        for Finding { kind, request, seen } in self.sorted() {
            let (severity, name) = (kind.severity().as_str(), kind.as_str());
            let (harm, remedy) = (kind.harm(), kind.remedy());
            text += &format!(
                "{severity}: {name}: {request}\n  seen: {seen}\n  hurts: {harm}\n  fix: {remedy}\n"
            );
        }
        for skipped in &self.skipped {
            text += &format!("skipped: {skipped}\n");
        }
        let found = match self.findings.len() {
            0 => "nothing found".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        text + &format!("{found} in {} checks with {requests} requests", self.checks)
    }

    pub(super) fn as_json(&self, requests: usize) -> Value {
        let row = |finding: &&Finding| {
            json!({
                "finding": finding.kind.as_str(),
                "severity": finding.kind.severity().as_str(),
                "request": finding.request,
                "seen": finding.seen,
                "hurts": finding.kind.harm(),
                "fix": finding.kind.remedy(),
            })
        };
        json!({
            "findings": self.sorted().iter().map(row).collect::<Vec<_>>(),
            "skipped": self.skipped,
            "checks": self.checks,
            "requests": requests,
        })
    }
}
