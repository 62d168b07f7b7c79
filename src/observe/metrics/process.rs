//! The process itself.

use prometheus::IntCounterVec;

use crate::base::build;
use crate::observe::event::ReloadResult;
use crate::observe::registry::MetricRegistry;

pub(super) struct Process {
    reloads: IntCounterVec,
}

impl Process {
    pub(super) fn new(registry: &MetricRegistry) -> Self {
        let info = registry.gauges(
            "portcullis_build_info",
            "The build, which is always 1.",
            &["version", "commit", "features"],
        );
        info.with_label_values(&[build::VERSION, build::COMMIT, build::FEATURES]).set(1);
        Self {
            reloads: registry.counters(
                "portcullis_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            ),
        }
    }

    pub(super) fn reloaded(&self, result: ReloadResult) {
        let result = match result {
            ReloadResult::Done => "ok",
            ReloadResult::Refused => "refused",
        };
        self.reloads.with_label_values(&[result]).inc();
    }
}
