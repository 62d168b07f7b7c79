//! The processor time that traces cost: with one request in ten sampled, and with all of them,
//! beside a gateway that sends none.

use crate::cookies::{Kind, Visitor};
use crate::load::get;
use crate::process::Process;
use crate::{Effort, Side, compare, plain};

pub(crate) fn print(effort: &Effort) {
    let (app, collector) = (Process::start("fixed", &[]), Process::start("fixed", &[]));
    let request = get("/bytes/1024", &Kind::Jwt.cookies(&Visitor::number(1)));
    let client = |server: &Process| plain(server, &request);
    let off = || Some(Process::gateway(Kind::Jwt.name(), &app.address));
    for sample in ["10%", "100%"] {
        let traced = || Some(Process::gateway_traced(&app.address, &collector.address, sample));
        let traced = Side { start: &traced, client: &client };
        let name = format!("traces, {sample} sampled");
        compare(&name, effort, &traced, ("no traces", &Side { start: &off, client: &client }));
    }
}
