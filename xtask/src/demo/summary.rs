//! What the clients saw, and what became of their writes.

use std::fmt;

use testkit::{Audit, LoadReport, OpCounts};

pub(super) struct Summary {
    pub(super) report: LoadReport,
    pub(super) audit: Audit,
}

impl Summary {
    /// Every read was answered, and rightly; no write is missing that WAIT had confirmed.
    pub(super) fn is_good(&self) -> bool {
        self.failures().is_empty()
    }

    fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let mut fail = |count: u64, what: &str| {
            if count > 0 {
                failures.push(format!("{count} {what}"));
            }
        };
        fail(self.report.reads.errors_total(), "reads failed");
        fail(self.report.reads.wrong.len() as u64, "or more reads got a wrong reply");
        fail(self.report.writes.wrong.len() as u64, "or more writes got a wrong reply");
        fail(self.audit.confirmed_lost as u64, "writes that WAIT had confirmed are missing");
        fail(self.audit.refused_but_present as u64, "refused writes are there all the same");
        failures
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, audit } = self;
        writeln!(f, "What the clients saw")?;
        for (name, counts) in
            [("reads", &report.reads), ("writes", &report.writes), ("WAITs", &report.waits)]
        {
            writeln!(
                f,
                "  {name:<7} {:>8} answered, longest wait {:>6.0} ms, errors: {}",
                counts.ok,
                counts.longest.as_secs_f64() * 1000.0,
                errors(counts)
            )?;
            for wrong in &counts.wrong {
                writeln!(f, "          WRONG REPLY  {wrong}")?;
            }
        }
        writeln!(f, "What became of the writes")?;
        writeln!(f, "  {:>8} acknowledged, {} lost:", audit.acknowledged, audit.lost())?;
        writeln!(
            f,
            "  {:>8}   of {} that WAIT 1 had confirmed",
            audit.confirmed_lost, audit.confirmed
        )?;
        writeln!(
            f,
            "  {:>8}   of {} not confirmed: the dead primary had not replicated them",
            audit.unconfirmed_lost,
            audit.acknowledged - audit.confirmed
        )?;
        writeln!(
            f,
            "  {:>8} with an unknown outcome (in flight when the primary died), {} of them there",
            audit.unknown, audit.unknown_present
        )?;
        writeln!(f, "  {:>8} refused", audit.refused)?;
        match self.failures().as_slice() {
            [] => writeln!(f, "GOOD: no read failed, no confirmed write is lost"),
            failures => writeln!(f, "FAILED: {}", failures.join("; ")),
        }
    }
}

fn errors(counts: &OpCounts) -> String {
    if counts.errors.is_empty() {
        return "none".into();
    }
    let kinds = counts.errors.iter().map(|(kind, count)| format!("{count} {kind}"));
    kinds.collect::<Vec<_>>().join(", ")
}
