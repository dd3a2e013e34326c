//! References between events of a stream: to earlier resource events of the right kind, in the same epoch and the same
//! run of 65,536 (format.md section 15).

use spanseal_ledger::verify::{Code, Detail};
use spanseal_schemas::event::What;

use super::content::{Content, ContentFault, Reference};

/// The resource events that the next events may refer to. Its size does not grow with the log.
#[derive(Debug)]
pub(super) struct Targets {
    run: u64,
    epoch: u32,
    /// What the event at each index of the run describes; unspecified: no resource event of this epoch.
    whats: Vec<What>,
}

impl Targets {
    pub(super) fn new() -> Self {
        Self { run: 0, epoch: 0, whats: vec![What::Unspecified; RUN] }
    }

    /// Returns index and number of what the next events of this epoch may refer to.
    pub(super) fn list(&self, epoch: u32) -> Vec<(u64, i32)> {
        let numbered = (self.run << RUN_BITS..).zip(&self.whats).filter(|_| self.epoch == epoch);
        numbered.filter(|(_, what)| **what != What::Unspecified).map(|(index, what)| (index, *what as i32)).collect()
    }

    /// Goes on from such a list.
    pub(super) fn from_list(epoch: u32, list: &[(u64, i32)]) -> Self {
        let mut targets = Self::new();
        for (index, what) in list {
            targets.take(epoch, *index, What::try_from(*what).unwrap_or(What::Unspecified));
        }
        targets
    }

    /// Checks the references of a batch, and takes its resource events in.
    pub(super) fn check(&mut self, epoch: u32, content: &Content, mut found: impl FnMut(ContentFault)) {
        let mut resources = content.resources.iter().peekable();
        for reference in &content.references {
            while let Some((index, what)) = resources.next_if(|(index, _)| *index < reference.from) {
                self.take(epoch, *index, *what);
            }
            self.turn(epoch, reference.from);
            if let Err(fact) = self.check_one(reference) {
                found(ContentFault { index: reference.from, code: Code::Envelope, detail: Detail::Fact(fact) });
            }
        }
        for (index, what) in resources {
            self.take(epoch, *index, *what);
        }
    }

    fn take(&mut self, epoch: u32, index: u64, what: What) {
        self.turn(epoch, index);
        self.whats[place(index)] = what;
    }

    /// Forgets what no event from here on may refer to.
    fn turn(&mut self, epoch: u32, index: u64) {
        if (self.run, self.epoch) != (index >> RUN_BITS, epoch) {
            (self.run, self.epoch) = (index >> RUN_BITS, epoch);
            self.whats.fill(What::Unspecified);
        }
    }

    fn check_one(&self, reference: &Reference) -> Result<(), &'static str> {
        let Reference { from, to, what } = *reference;
        if to >= from || to >> RUN_BITS != self.run {
            return Err(outside(what));
        }
        if self.whats[place(to)] == what { Ok(()) } else { Err(wrong(what)) }
    }
}

fn outside(what: What) -> &'static str {
    match what {
        What::Resource => "its resource is no earlier event of the same run",
        What::Scope => "its scope is no earlier event of the same run",
        What::Tenant => "its tenant is no earlier event of the same run",
        _ => "its configuration is no earlier event of the same run",
    }
}

fn wrong(what: What) -> &'static str {
    match what {
        What::Resource => "its resource is no resource event that describes a resource in its epoch",
        What::Scope => "its scope is no resource event that describes a scope in its epoch",
        What::Tenant => "its tenant is no resource event that describes a tenant in its epoch",
        _ => "its configuration is no resource event that describes a configuration in its epoch",
    }
}

fn place(index: u64) -> usize {
    (index & (RUN as u64 - 1)) as usize
}

const RUN_BITS: u32 = 16;
const RUN: usize = 1 << RUN_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks references from one index, after resource events at others, all in one batch.
    fn faults(resources: &[(u64, What)], from: u64, to: u64, what: What) -> usize {
        let references = vec![Reference { from, to, what }];
        let content = Content { resources: resources.to_vec(), references, ..Content::default() };
        let mut faults = 0;
        Targets::new().check(1, &content, |_| faults += 1);
        faults
    }

    #[test]
    fn accepts_an_earlier_event_of_the_right_kind_in_the_run() {
        let scope = [(3, What::Scope)];
        assert_eq!(faults(&scope, 4, 3, What::Scope), 0);
        assert_eq!(faults(&scope, 0xffff, 3, What::Scope), 0);
        assert_eq!(faults(&[(0x1_0003, What::Scope)], 0x1_0004, 0x1_0003, What::Scope), 0);
    }

    #[test]
    fn refuses_every_other_target() {
        let scope = [(3, What::Scope)];
        for (from, to, what) in [
            (4, 3, What::Resource),     // of another kind
            (4, 2, What::Scope),        // no resource event
            (3, 3, What::Scope),        // itself
            (2, 3, What::Scope),        // a later one
            (0x1_0000, 3, What::Scope), // of another run
            (4, u64::MAX, What::Scope), // nowhere
        ] {
            assert_eq!(faults(&scope, from, to, what), 1, "{from} to {to}");
        }
    }

    #[test]
    fn refuses_a_target_of_another_epoch() {
        let mut targets = Targets::new();
        let target = Content { resources: vec![(3, What::Tenant)], ..Content::default() };
        targets.check(1, &target, |_| unreachable!());
        let referrer =
            Content { references: vec![Reference { from: 5, to: 3, what: What::Tenant }], ..Content::default() };
        let mut faults = 0;
        targets.check(2, &referrer, |_| faults += 1);
        assert_eq!(faults, 1);
    }
}
