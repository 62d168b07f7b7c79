//! Resources of the process while it serves, as a table with a verdict.

use std::fs;
use std::time::{Duration, Instant};

use crate::soak::{Count, Soak};
use crate::support::running::Running;

/// Resources of the process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) megabytes: f64,
    pub(crate) threads: usize,
    /// Open files. Only root may count them of a process that hides its memory.
    pub(crate) files: Option<usize>,
}

impl Sample {
    pub(crate) fn of(running: &Running) -> Self {
        let place = format!("/proc/{}", running.pid());
        let status = fs::read_to_string(format!("{place}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        Self {
            megabytes: number("VmRSS:") / 1024.0,
            threads: number("Threads:") as usize,
            files: fs::read_dir(format!("{place}/fd")).ok().map(Iterator::count),
        }
    }
}

/// The rows of the table so far.
pub(crate) struct Report {
    began: Instant,
    asked: usize,
    memory: Vec<f64>,
}

impl Report {
    pub(crate) fn begin() -> Self {
        println!(
            "     s  requests  excused  wrong   token ms p50/p99   page ms p50/p99  RSS MB  files  threads"
        );
        Self { began: Instant::now(), asked: 0, memory: Vec::new() }
    }

    /// One more row: what came since the last one, and the median of `samples`.
    pub(crate) fn row(&mut self, soak: &Soak, samples: &[Sample]) {
        let mut kinds = soak.tally.kinds.lock().unwrap();
        let sum = |of: fn(&Count) -> usize| kinds.values().map(of).sum::<usize>();
        let (excused, wrong) = (sum(|c| c.excused), sum(|c| c.wrong));
        let all = sum(|c| c.right) + excused + wrong;
        let mut times = |name| {
            let times = kinds.get_mut(name).map(|count| std::mem::take(&mut count.times));
            let mut times = times.unwrap_or_default();
            times.sort_by(f64::total_cmp);
            let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied();
            format!("{:6.2} {:7.2}", at(0.5).unwrap_or(0.0), at(0.99).unwrap_or(0.0))
        };
        let (token, page) = (times("token"), times("page, 1 KiB"));
        kinds.values_mut().for_each(|count| count.times.clear());
        let memory = median(samples.iter().map(|sample| sample.megabytes).collect());
        let last = samples.last().unwrap();
        println!(
            "{:6.0} {:9} {excused:8} {wrong:6}    {token}     {page}  {memory:7.1} {:>6} {:8}",
            self.began.elapsed().as_secs_f64(),
            all - self.asked,
            last.files.map_or_else(|| "?".to_owned(), |files| files.to_string()),
            last.threads,
        );
        self.asked = all;
        self.memory.push(memory);
    }

    /// Outcomes by kind of traffic.
    pub(crate) fn kinds(soak: &Soak) {
        println!("\n{:<24} {:>8} {:>8} {:>8}", "", "right", "excused", "wrong");
        for (name, Count { right, excused, wrong, .. }) in &*soak.tally.kinds.lock().unwrap() {
            println!("{name:<24} {right:>8} {excused:>8} {wrong:>8}");
        }
    }

    /// How much more memory was ever taken than right after warming up, as a
    /// fraction; `None` if it was too short to say.
    pub(crate) fn growth(&self, time: Duration) -> Option<f64> {
        const SHORTEST: Duration = Duration::from_secs(180);
        let rows = self.memory.get(self.memory.len() / 4..).filter(|_| time >= SHORTEST)?;
        let most = rows.iter().copied().fold(0.0, f64::max);
        Some(most / rows.first()? - 1.0)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
