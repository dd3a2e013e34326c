//! The faults of one log, by class and in the order found.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Class, Code, Detail, Fault};
use crate::id::StreamId;

/// Faults kept per class; more are only counted, so that a log that is wrong throughout needs no memory.
pub const FAULTS_MAX: usize = 100;

/// What was found in one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The log is not what was sealed.
    pub tampered: Vec<Fault>,
    /// Could not be checked.
    pub unchecked: Vec<Fault>,
    /// Worth saying.
    pub notes: Vec<Fault>,
    /// Faults beyond [`FAULTS_MAX`], which are not listed.
    pub unlisted: u64,
}

impl Faults {
    /// Adds a fault to its class.
    pub fn add(&mut self, fault: Fault) {
        let list = match fault.code.class() {
            Class::Tampered => &mut self.tampered,
            Class::Unchecked => &mut self.unchecked,
            Class::Note => &mut self.notes,
        };
        if list.len() < FAULTS_MAX {
            list.push(fault);
        } else {
            self.unlisted += 1;
        }
    }

    /// Whether nothing was found, no note either.
    pub fn is_empty(&self) -> bool {
        self.tampered.is_empty() && self.unchecked.is_empty() && self.notes.is_empty()
    }

    /// Adds those of another list behind these.
    pub fn append(&mut self, other: Faults) {
        self.unlisted += other.unlisted;
        other.tampered.into_iter().chain(other.unchecked).chain(other.notes).for_each(|fault| self.add(fault));
    }
}

/// A code and its facts, before it is known where: what a check returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) detail: Detail,
}

impl Finding {
    pub(super) fn at(self, stream: Option<StreamId>, index: impl Into<Option<u64>>) -> Fault {
        Fault { code: self.code, stream, index: index.into(), detail: self.detail }
    }
}

impl From<Code> for Finding {
    fn from(code: Code) -> Finding {
        Finding { code, detail: Detail::Nothing }
    }
}

impl From<(Code, Detail)> for Finding {
    fn from((code, detail): (Code, Detail)) -> Finding {
        Finding { code, detail }
    }
}

impl From<(Code, &'static str)> for Finding {
    fn from((code, fact): (Code, &'static str)) -> Finding {
        Finding { code, detail: Detail::Fact(fact) }
    }
}

/// Names the finding unless the condition holds.
pub(super) fn ensure(holds: bool, finding: impl Into<Finding>) -> Result<(), Finding> {
    if holds { Ok(()) } else { Err(finding.into()) }
}

/// Names the finding unless two numbers are equal.
pub(super) fn same_number(code: Code, what: &'static str, expected: u64, got: u64) -> Result<(), Finding> {
    ensure(expected == got, (code, Detail::Numbers { what, expected, got }))
}

/// Names the finding unless two hashes are equal.
pub(super) fn same_hash(
    code: Code,
    what: &'static str,
    expected: &crate::Hash,
    got: &crate::Hash,
) -> Result<(), Finding> {
    if expected == got {
        return Ok(());
    }
    Err((code, Detail::Hashes { what, expected: Box::new(*expected), got: Box::new(*got) }).into())
}
