//! The process itself: its build, its settings, its logs, its use of the system.

use prometheus::{CounterVec, GaugeVec, IntCounter, IntCounterVec, IntGauge};

use super::gauges::Gauges;
use super::usage::Usage;
use crate::base::build;
use crate::observe::event::ReloadResult;
use crate::observe::registry::MetricRegistry;

pub(super) struct Process {
    reloads: IntCounterVec,
    last_reload: IntGauge,
    lines_dropped: IntCounter,
    spans_sent: IntCounter,
    spans_dropped: IntCounter,
    usage: SystemUsage,
}

/// Under the names that Prometheus's own clients use. Without a value, a metric is not shown.
struct SystemUsage {
    cpu_seconds: CounterVec,
    gauges: [GaugeVec; 6],
}

impl Process {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        let info = registry.gauges(
            "portcullis_build_info",
            "Version and build of the gateway; always 1.",
            &["version", "commit", "features"],
        );
        info.with_label_values(&[build::VERSION, build::COMMIT, build::FEATURES]).set(1);
        let last_reload = registry.gauge(
            "portcullis_config_last_reload_successful",
            "Whether the last reload took effect: 1 (also before the first), or 0.",
        );
        last_reload.set(1);
        let reloads = registry.counters(
            "portcullis_reloads_total",
            "Reloads of the configuration.",
            &["result"],
        );
        // Set from the start, or the first one would not be an increase.
        for result in ["ok", "refused"] {
            reloads.with_label_values(&[result]);
        }
        Self {
            reloads,
            last_reload,
            lines_dropped: registry.counter(
                "portcullis_access_lines_dropped_total",
                "Lines of the access log dropped because its reader stalled.",
            ),
            spans_sent: registry
                .counter("portcullis_spans_sent_total", "Spans that the collector has accepted."),
            spans_dropped: registry.counter(
                "portcullis_spans_dropped_total",
                "Spans dropped because the collector was slow, unreachable or refused them.",
            ),
            usage: SystemUsage::new(registry),
        }
    }

    pub(super) fn reloaded(&self, result: ReloadResult) {
        let (label, successful) = match result {
            ReloadResult::Done => ("ok", 1),
            ReloadResult::Refused => ("refused", 0),
        };
        self.reloads.with_label_values(&[label]).inc();
        self.last_reload.set(successful);
    }

    /// `usage` is none where the system does not tell.
    pub(super) fn set(&self, gauges: &Gauges, usage: Option<&Usage>) {
        for (counter, to) in [
            (&self.lines_dropped, gauges.access_lines_dropped),
            (&self.spans_sent, gauges.spans_sent),
            (&self.spans_dropped, gauges.spans_dropped),
        ] {
            counter.inc_by(to.saturating_sub(counter.get()));
        }
        if let Some(usage) = usage {
            self.usage.set(usage);
        }
    }
}

impl SystemUsage {
    fn new(registry: &MetricRegistry) -> Self {
        let gauge = |name, help| registry.float_gauges(name, help, &[]);
        Self {
            cpu_seconds: registry.float_counters(
                "process_cpu_seconds_total",
                "Processor time used, in user and system mode.",
                &[],
            ),
            gauges: [
                gauge("process_open_fds", "Open file descriptors."),
                gauge("process_max_fds", "Limit of open file descriptors."),
                gauge("process_virtual_memory_bytes", "Size of the address space."),
                gauge("process_resident_memory_bytes", "Memory in use."),
                gauge("process_start_time_seconds", "When the process began, since the epoch."),
                gauge("process_threads", "Threads of the process."),
            ],
        }
    }

    fn set(&self, usage: &Usage) {
        let Usage { cpu_seconds, open_fds, max_fds, virtual_bytes, resident_bytes, .. } = *usage;
        let counter = self.cpu_seconds.with_label_values::<&str>(&[]);
        counter.inc_by((cpu_seconds - counter.get()).max(0.0));
        let Usage { start_seconds, threads, .. } = *usage;
        let values = [open_fds, max_fds, virtual_bytes, resident_bytes, start_seconds, threads];
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.with_label_values::<&str>(&[]).set(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(usage: Option<&Usage>) -> String {
        let registry = MetricRegistry::default();
        Process::new(&registry).set(&Gauges::default(), usage);
        registry.render()
    }

    #[test]
    fn the_systems_numbers_stand_under_the_usual_names() {
        let text = rendered(Some(&Usage {
            cpu_seconds: 1.5,
            open_fds: 20.0,
            max_fds: 1024.0,
            virtual_bytes: 8192.0,
            resident_bytes: 4096.0,
            start_seconds: 1_800_000_000.25,
            threads: 7.0,
        }));
        for line in [
            "# TYPE process_cpu_seconds_total counter",
            "process_cpu_seconds_total 1.5",
            "process_open_fds 20",
            "process_max_fds 1024",
            "process_virtual_memory_bytes 8192",
            "process_resident_memory_bytes 4096",
            "process_start_time_seconds 1800000000.25",
            "process_threads 7",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }

    #[test]
    fn nothing_is_said_where_the_system_does_not_tell() {
        let text = rendered(None);
        assert!(!text.contains("process_"), "{text}");
        assert!(text.contains("portcullis_config_last_reload_successful 1"), "{text}");
    }
}
