//! Verifies a root log, leaf by leaf (format.md section 14, step 1).

use alloc::vec::Vec;

use super::faults::{FAULTS_MAX, Finding, same_hash};
use super::notes;
use super::root_state::{Pins, RootState};
use super::{Class, Code, Detail, Fault};
use crate::checkpoint::VerifiedCheckpoint;
use crate::id::Role;
use crate::key::{KeyId, SIGNATURE_LEN};
use crate::leaf::{Hash, leaf_hash};
use crate::root_leaf::{RootLeaf, RootLeafError, RootOp};
use crate::seal::NO_SEAL;
use crate::tree::{Frontier, root_of};
use crate::trust::Trust;

/// Verifies a root log as it is fed its leaves; more can follow at any time.
///
/// A live log is read in this order: the streams' checkpoints, the root log's checkpoint, the root log, the streams. Then
/// nothing that is read claims more than what is read after it.
#[derive(Clone, Debug, Default)]
pub struct RootVerifier {
    state: RootState,
    trust: Option<Trust>,
    /// The tree of the leaves, as far as none is missing.
    frontier: Frontier,
    /// Leaves by unknown signers, of which a later leaf may say that they came early.
    unknown_signers: Vec<UnknownSigner>,
}

#[derive(Clone, Debug)]
struct UnknownSigner {
    index: u64,
    id: KeyId,
    message: Vec<u8>,
    signature: [u8; SIGNATURE_LEN],
}

impl RootVerifier {
    /// Begins with an empty root log. Without trust, the genesis leaf is believed.
    pub fn new(trust: Option<Trust>) -> RootVerifier {
        RootVerifier { trust, ..RootVerifier::default() }
    }

    /// Takes the next leaf.
    ///
    /// # Errors
    /// When it is refused. The fault is also kept for the report, and verification goes on with the next leaf.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let index = self.state.size();
        self.pass(bytes);
        self.take(index, bytes).map_err(|finding| {
            let fault = finding.at(None, index);
            self.state.faults.add(fault.clone());
            fault
        })
    }

    /// Counts the next leaf in by its hash alone, as if it said nothing: for readers to whom a size signed long ago is
    /// nothing. The root is known all the same, and with it whether the checkpoint holds.
    pub fn pass(&mut self, bytes: &[u8]) {
        let hash = leaf_hash(bytes);
        if !self.state.is_missing_leaves() {
            self.state.leaves.push(hash);
            self.frontier.push(hash);
        }
        self.state.size += 1;
    }

    /// Takes a segment's header: it must say what the leaves before it hash to, and name no seal.
    pub fn segment(&mut self, frontier: &Frontier, seal_hash: &Hash) {
        let reached = self.state.is_missing_leaves() || (*frontier == self.frontier && *seal_hash == NO_SEAL);
        if !reached {
            self.damaged(Detail::Fact("the segment's header is not the state that the root log has reached"));
        }
    }

    /// Says that a segment is of another log.
    pub fn segment_of_another_log(&mut self) {
        self.found(Code::WrongStream, self.state.size(), Detail::Fact("a segment of another log"));
    }

    /// Says that the leaves up to `index` are missing: those that follow are counted from there.
    pub fn missing_to(&mut self, index: u64) {
        let (expected, got) = (self.state.size(), index);
        self.damaged(Detail::Numbers { what: "the segment's first index", expected, got });
        self.state.size = self.state.size.max(index);
    }

    /// Says that what follows could not be read.
    pub fn damaged(&mut self, detail: Detail) {
        self.damaged_at(self.state.size(), detail);
    }

    /// Says that what is written at an index could not be read, or is not what took its place.
    pub fn damaged_at(&mut self, index: u64, detail: Detail) {
        self.found(Code::Damaged, index, detail);
    }

    /// Says that the log ends in an incomplete record of `bytes` bytes.
    pub fn torn(&mut self, bytes: u64) {
        let detail = Detail::Numbers { what: "bytes of the torn record", expected: 0, got: bytes };
        self.found(Code::TornTail, self.state.size(), detail);
    }

    /// The state after the leaves taken so far.
    pub fn state(&self) -> &RootState {
        &self.state
    }

    /// Ends with the root log's checkpoint note, and verifies the pins.
    pub fn finish(mut self, note: Option<&[u8]>) -> RootState {
        if let Err(finding) = self.check_checkpoint(note) {
            self.add_log_fault(finding);
        }
        if let Some(trust) = self.trust.take()
            && let Err(finding) = self.check_pins(&trust)
        {
            self.add_log_fault(finding);
        }
        self.state
    }

    fn found(&mut self, code: Code, index: u64, detail: Detail) {
        self.state.faults.add(Finding::from((code, detail)).at(None, index));
    }

    fn take(&mut self, index: u64, bytes: &[u8]) -> Result<(), Finding> {
        let leaf = RootLeaf::parse(bytes).map_err(|error| self.unparsed(index, error))?;
        let taken = self.state.apply(index, &leaf, self.trust.as_ref());
        match (&taken, &leaf.op) {
            (Ok(()), RootOp::Register { .. }) => self.rename_early(),
            (Err(Finding { code: Code::UnknownKey, .. }), _) => self.remember_unknown(index, &leaf),
            (Err(finding), _) if finding.code.class() == Class::Unchecked => self.note_unknown(index),
            _ => {}
        }
        taken
    }

    fn unparsed(&mut self, index: u64, error: RootLeafError) -> Finding {
        match error {
            RootLeafError::Version { .. } | RootLeafError::Op { .. } => {
                self.note_unknown(index);
                (Code::UnknownVersion, Detail::RootLeaf(error)).into()
            }
            _ => (Code::MalformedRootLeaf, Detail::RootLeaf(error)).into(),
        }
    }

    fn note_unknown(&mut self, index: u64) {
        self.state.unknown_leaf.get_or_insert(index);
    }

    fn remember_unknown(&mut self, index: u64, leaf: &RootLeaf<'_>) {
        if self.unknown_signers.len() < FAULTS_MAX {
            let (message, signature) = (leaf.message.to_vec(), leaf.signature);
            self.unknown_signers.push(UnknownSigner { index, id: leaf.signer, message, signature });
        }
    }

    /// Leaves whose signer is registered only now were signed too early.
    fn rename_early(&mut self) {
        for unknown in &self.unknown_signers {
            let registered = Role::ALL.into_iter().find_map(|role| self.state.ring.find(role, &unknown.id));
            let Some(signer) = registered else { continue };
            let verified = signer.key.verify(&unknown.message, &unknown.signature).is_ok();
            let code = if verified { Code::EarlyKey } else { Code::BadSignature };
            let faults = self.state.faults.tampered.iter_mut();
            let named = |fault: &&mut Fault| fault.index == Some(unknown.index) && fault.code == Code::UnknownKey;
            faults.filter(named).for_each(|fault| fault.code = code);
        }
    }

    fn check_checkpoint(&mut self, note: Option<&[u8]>) -> Result<(), LogFinding> {
        let note = note.ok_or(LogFinding::whole(Code::NoCheckpoint))?;
        let checkpoint = notes::verify_root_note(note, &self.state, None)?;
        if self.check_root(&checkpoint)? {
            self.state.checkpoint = Some(checkpoint);
        }
        Ok(())
    }

    fn check_pins(&mut self, trust: &Trust) -> Result<(), LogFinding> {
        let pins =
            trust.pins.iter().map(|(stream, note)| (*stream, notes::verify_pin(note, stream, &self.state, trust)));
        self.state.pins = Pins { trusted: true, root: None, streams: pins.collect() };
        let Some(note) = &trust.root_pin else { return Ok(()) };
        let pin = notes::verify_root_note(note.as_bytes(), &self.state, Some(trust))?;
        if self.check_root(&pin)? {
            self.state.pins.root = Some(pin);
        }
        Ok(())
    }

    /// The checkpoint's root is that of the leaves up to its size; whether those are all there.
    fn check_root(&self, checkpoint: &VerifiedCheckpoint) -> Result<bool, LogFinding> {
        let (expected, got) = (checkpoint.size(), self.state.size());
        if expected > got {
            let numbers = Detail::Numbers { what: "the root log's size", expected, got };
            return Err(LogFinding { finding: (Code::Truncated, numbers).into(), index: Some(got) });
        }
        let leaves = usize::try_from(expected).ok().and_then(|size| self.state.leaves.get(..size));
        let Some(leaves) = leaves else { return Ok(false) };
        same_hash(Code::CheckpointMismatch, "the root", checkpoint.root(), &root_of(leaves))
            .map(|()| true)
            .map_err(|finding| LogFinding { finding, index: Some(expected) })
    }

    fn add_log_fault(&mut self, found: LogFinding) {
        self.state.faults.add(found.finding.at(None, found.index));
    }
}

/// A finding about the log as a whole, and the size that it is about.
struct LogFinding {
    finding: Finding,
    index: Option<u64>,
}

impl LogFinding {
    fn whole(code: Code) -> LogFinding {
        LogFinding { finding: code.into(), index: None }
    }
}

impl From<Finding> for LogFinding {
    fn from(finding: Finding) -> LogFinding {
        LogFinding { finding, index: None }
    }
}
