//! The process's use of the system, as Linux tells in `/proc` (proc(5)).

use std::fs;

use nix::sys::resource::{Resource, getrlimit};

/// Numbers of one moment.
pub(in crate::observe) struct Usage {
    pub(super) cpu_seconds: f64,
    pub(super) open_fds: f64,
    pub(super) max_fds: f64,
    pub(super) virtual_bytes: f64,
    pub(super) resident_bytes: f64,
    /// Since the epoch.
    pub(super) start_seconds: f64,
    pub(super) threads: f64,
}

/// The units of `/proc/PID/stat`.
struct Units {
    ticks_per_second: f64,
    page: f64,
}

impl Usage {
    /// None where there is no `/proc`.
    pub(in crate::observe) fn read() -> Option<Self> {
        let units = Units {
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            page: rustix::param::page_size() as f64,
        };
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let system = fs::read_to_string("/proc/stat").ok()?;
        // One of them is the listing itself.
        let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        Self::from_texts(&stat, &system, &units, (open as f64, soft as f64))
    }

    fn from_texts(
        stat: &str,
        system: &str,
        units: &Units,
        (open_fds, max_fds): (f64, f64),
    ) -> Option<Self> {
        let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
        let booted: f64 = booted.trim().parse().ok()?;
        // The program's name, in brackets, may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // By the numbers of the manual page, where the first one after the name is 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let (user, in_system) = (field(14)?, field(15)?);
        Some(Self {
            cpu_seconds: (user + in_system) / units.ticks_per_second,
            open_fds,
            max_fds,
            threads: field(20)?,
            start_seconds: booted + field(22)? / units.ticks_per_second,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * units.page,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Units = Units { ticks_per_second: 100.0, page: 4096.0 };
    const SYSTEM: &str = "cpu  1 2 3\nbtime 1800000000\nprocesses 7\n";

    fn read(stat: &str, system: &str) -> Option<Usage> {
        Usage::from_texts(stat, system, &UNITS, (9.0, 1024.0))
    }

    #[test]
    fn fields_are_those_of_the_manual_page_whatever_the_name() {
        let rest = "S 1 2 3 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 11 0 5050 123456789 2000 1 1";
        for name in ["portcullis", "a b", ") S 9 (", ""] {
            let usage = read(&format!("42 ({name}) {rest}"), SYSTEM).unwrap();
            assert_eq!(usage.cpu_seconds, 4.0);
            assert_eq!(usage.threads, 11.0);
            assert_eq!(usage.start_seconds, 1_800_000_050.5);
            assert_eq!((usage.virtual_bytes, usage.resident_bytes), (123_456_789.0, 8_192_000.0));
        }
    }

    #[test]
    fn unreadable_proc_files_give_no_numbers() {
        for (stat, system) in [
            ("", SYSTEM),
            ("42 portcullis S 1", SYSTEM),
            ("42 (portcullis) S 1 2", SYSTEM),
            ("42 (x) S 1 2 3 0 -1 1 1 0 0 0 a 150 0 0 20 0 11 0 5050 1 2", SYSTEM),
            ("42 (x) S 1 2 3 0 -1 1 1 0 0 0 1 150 0 0 20 0 11 0 5050 1 2", "cpu 1\n"),
        ] {
            assert!(read(stat, system).is_none(), "{stat:?}");
        }
    }

    #[test]
    fn this_process_is_seen_as_it_is() {
        let Some(usage) = Usage::read() else { return };
        assert!(usage.open_fds > 2.0 && usage.open_fds < usage.max_fds);
        assert!(usage.resident_bytes > 1e6 && usage.virtual_bytes >= usage.resident_bytes);
        assert!(usage.start_seconds > 1.7e9 && usage.threads >= 2.0 && usage.cpu_seconds < 1e6);
    }
}
