//! Verifies a stream, batch by batch (format.md section 14, steps 2 and 3).

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::chain::{Chain, Past};
use super::faults::{Faults, Finding, ensure, same_hash};
use super::judge::{HashedBatch, Judgement, judge};
use super::notes::verify_stream_note;
use super::position::{Position, ResumeError};
use super::root_state::{Claim, ClaimSource, RootState};
use super::{Code, Detail, Fault};
use crate::batch::BatchError;
use crate::checkpoint::VerifiedCheckpoint;
use crate::id::StreamId;
use crate::leaf::Hash;
use crate::seal::{Seal, SealError, SignedSeal};
use crate::tree::{Frontier, empty_root};

/// Verifies one stream as it is fed its batches.
///
/// The root log is given with every call, so that it can grow meanwhile.
#[derive(Clone, Debug)]
pub struct StreamVerifier {
    chain: Chain,
    /// A tree that a segment header names, to be borne out by the next signed root.
    frontier: Option<Frontier>,
    /// Nothing more can be checked: the stream goes on in an unknown version.
    ended: bool,
    pub(super) counts: Counts,
    /// What the checkpoint and the pin say, or why they are refused.
    pub(super) checkpoint: Option<VerifiedCheckpoint>,
    pub(super) pin: Option<VerifiedCheckpoint>,
    pub(super) pin_holds: bool,
    claims: Vec<Claim>,
    /// Step 2.
    faults: Faults,
    /// Step 3.
    claim_faults: Faults,
    /// Sizes up to here have been compared with what was signed for them.
    pub(super) compared: Option<u64>,
}

/// What was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Batches seen, those that do not parse included.
    pub seen: u64,
    /// Batches that hold.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Events among these that were checked for signature and chain only, because the tree before them is not known.
    pub unrooted: u64,
    /// Span events among these.
    pub spans: u64,
    /// Epochs that opened in them.
    pub epochs: u64,
}

/// A batch that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFacts {
    /// Its seal.
    pub seal: Seal,
    /// The seal's hash.
    pub seal_hash: Hash,
    /// Span events in it.
    pub spans: u64,
}

impl StreamVerifier {
    /// Begins at index 0. `note` is the stream's checkpoint, read before the stream is.
    pub fn new(root: &RootState, stream: StreamId, note: Option<&[u8]>) -> StreamVerifier {
        let mut verifier = StreamVerifier::at(Chain::new(stream));
        match root.stream(&stream) {
            Some(_) => verifier.take_notes(root, note),
            // A leaf that cannot be read may have opened it.
            None if root.has_signed_unknown() => {
                let fact = "the stream, or the leaf that opens it, is of an unknown version";
                verifier.found(Code::UnknownVersion, None, Detail::Fact(fact));
                verifier.ended = true;
            }
            None => verifier.found(Code::StreamUnknown, None, Detail::Nothing),
        }
        verifier
    }

    /// Goes on from where a verifier of the same stream stood. What was signed for sizes up to there is not compared again.
    ///
    /// # Errors
    /// When the root log does not have the position's epoch.
    pub fn resume(root: &RootState, position: &Position) -> Result<StreamVerifier, ResumeError> {
        let chain = position.chain(root)?;
        let compared = Some(chain.size);
        Ok(StreamVerifier { compared, ..StreamVerifier::at(chain) })
    }

    /// Where the verifier stands; `None` before the first batch, and once the tree is lost.
    pub fn position(&self) -> Option<Position> {
        Position::of(&self.chain)
    }

    /// The stream's checkpoint, if it was given and verified.
    pub fn checkpoint(&self) -> Option<&VerifiedCheckpoint> {
        self.checkpoint.as_ref()
    }

    pub(super) fn has_found_nothing(&self) -> bool {
        !self.ended && !self.chain.adrift && self.faults.is_empty() && self.claim_faults.is_empty()
    }

    /// The next index.
    pub fn next_index(&self) -> u64 {
        self.chain.size
    }

    /// The stream.
    pub fn stream(&self) -> StreamId {
        self.chain.stream
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// When it is refused, with the first fault in the order of format.md section 14. The fault is also kept for the
    /// report, and verification goes on with the next batch as far as it can.
    pub fn push(&mut self, root: &RootState, bytes: &[u8]) -> Result<BatchFacts, Fault> {
        match HashedBatch::parse(bytes) {
            Ok(hashed) => self.push_hashed(root, &hashed),
            Err(error) => Err(self.malformed(root, error)),
        }
    }

    /// Takes the next batch, whose events were hashed elsewhere.
    ///
    /// # Errors
    /// As [`StreamVerifier::push`].
    pub fn push_hashed(&mut self, root: &RootState, hashed: &HashedBatch<'_>) -> Result<BatchFacts, Fault> {
        let signed_seal = hashed.batch().signed_seal();
        self.counts.seen += 1;
        if self.ended {
            return Err(self.fault(Code::UnknownVersion.into(), signed_seal.seal.first));
        }
        let Judgement { fault, unknown, spans, next } = judge(&self.chain, self.frontier.as_ref(), root, hashed);
        if let Some((index, finding)) = unknown {
            self.faults.add(finding.at(Some(self.chain.stream), index));
        }
        let epoch_before = self.chain.epoch_number();
        match next {
            Some((epoch, tree)) => {
                self.chain.adopt(signed_seal, epoch, tree);
                self.frontier = None;
                self.compare(root);
            }
            // A batch that is not taken may stand where a good one was.
            None if fault.is_some() => self.chain.adrift = true,
            None => {}
        }
        if let Some((index, finding)) = fault {
            self.ended |= finding.code == Code::UnknownVersion;
            let fault = self.fault(finding, index);
            self.faults.add(fault.clone());
            return Err(fault);
        }
        let events = u64::from(signed_seal.seal.count);
        self.counts.batches += 1;
        self.counts.events += events;
        self.counts.unrooted += if self.chain.tree.is_none() { events } else { 0 };
        self.counts.spans += spans;
        self.counts.epochs += u64::from(self.chain.epoch_number() != epoch_before);
        Ok(BatchFacts { seal: signed_seal.seal, seal_hash: self.chain.seal_hash, spans })
    }

    /// Takes a batch that does not parse.
    pub fn malformed(&mut self, root: &RootState, error: BatchError) -> Fault {
        // A version byte is believed only where the root log has leaves of unknown versions too, under a signature.
        let unknown = matches!(error, BatchError::Seal(SealError::Version { .. })) && root.has_signed_unknown();
        let code = if unknown { Code::UnknownVersion } else { Code::MalformedBatch };
        let fault = self.fault((code, Detail::Batch(error)).into(), self.chain.size);
        self.counts.seen += 1;
        if !self.ended {
            self.faults.add(fault.clone());
        }
        self.ended |= unknown;
        self.chain.adrift = true;
        fault
    }

    /// Takes a segment's header: it must be where the stream stands. Where the tree was lost, its frontier is tried, and
    /// the next signed root decides; events that are missing stay missing.
    ///
    /// # Errors
    /// When the header disagrees with the stream.
    pub fn segment(&mut self, frontier: Frontier, seal_hash: &Hash) -> Result<(), Fault> {
        let checked = if self.ended || self.chain.adrift { Ok(()) } else { self.check_segment(&frontier, seal_hash) };
        checked.map(|()| self.frontier = Some(frontier)).map_err(|finding| {
            let fault = self.fault(finding, self.chain.size);
            self.faults.add(fault.clone());
            fault
        })
    }

    fn check_segment(&mut self, frontier: &Frontier, seal_hash: &Hash) -> Result<(), Finding> {
        let chain = &mut self.chain;
        let (expected, got) = (chain.size, frontier.size());
        if got > expected {
            chain.adrift = true;
            let code = if chain.last_seal.is_none() { Code::HeadMissing } else { Code::IndexGap };
            return Err((code, Detail::Numbers { what: "the segment's first index", expected, got }).into());
        }
        let agrees =
            got == expected && chain.seal_hash == *seal_hash && chain.tree.as_ref().is_none_or(|tree| tree == frontier);
        ensure(agrees, (Code::Damaged, "the segment's header is not the state that the stream has reached"))
    }

    /// Says that a segment's header is of another version, which is believed where the root log has such a leaf too.
    pub fn segment_of_another_version(&mut self, root: &RootState) {
        if !root.has_signed_unknown() {
            return self.damaged(Detail::Fact("the segment is of an unknown version"));
        }
        self.found(Code::UnknownVersion, Some(self.chain.size), Detail::Fact("the segment's version"));
        self.ended = true;
    }

    /// Says that a record or header could not be read where nothing may be torn.
    pub fn damaged(&mut self, detail: Detail) {
        self.found(Code::Damaged, Some(self.chain.size), detail);
        self.chain.adrift = true;
    }

    /// Whether another batch was taken in where this one stands, as far as is remembered.
    pub fn sealed_otherwise(&self, seal: &SignedSeal) -> bool {
        seal.seal.first < self.chain.size && self.chain.past(seal) == Past::OtherSeal
    }

    /// Says that the stream ends in an incomplete record of `bytes` bytes.
    pub fn torn(&mut self, bytes: u64) {
        let detail = Detail::Numbers { what: "bytes of the torn record", expected: 0, got: bytes };
        self.found(Code::TornTail, Some(self.chain.size), detail);
    }

    /// Adds what another check of this stream found, in its place among the faults: nothing where it goes on in an unknown
    /// version.
    pub fn found(&mut self, code: Code, index: Option<u64>, detail: Detail) {
        if self.ended {
            return;
        }
        self.faults.add(Fault { code, stream: Some(self.chain.stream), index, detail });
    }

    /// Ends with the stream: compares its length with what was signed.
    pub fn finish(mut self, root: &RootState) -> StreamReport {
        self.compare(root);
        let beyond = self.claims_in(root, self.chain.size.saturating_add(1)..=u64::MAX);
        if let (Some(claim), false) = (beyond.last(), self.ended) {
            let numbers = Detail::Numbers { what: "the stream's size", expected: claim.size, got: self.chain.size };
            let fault = self.fault((Code::Truncated, numbers).into(), self.chain.size);
            self.claim_faults.add(fault);
        }
        self.faults.append(self.claim_faults);
        StreamReport {
            stream: self.chain.stream,
            size: self.chain.size,
            counts: self.counts,
            checkpoint: self.checkpoint,
            pin: self.pin,
            pin_holds: self.pin_holds,
            faults: self.faults,
        }
    }

    fn at(chain: Chain) -> StreamVerifier {
        StreamVerifier {
            chain,
            frontier: None,
            ended: false,
            counts: Counts::default(),
            checkpoint: None,
            pin: None,
            pin_holds: false,
            claims: Vec::new(),
            faults: Faults::default(),
            claim_faults: Faults::default(),
            compared: None,
        }
    }

    pub(super) fn take_notes(&mut self, root: &RootState, note: Option<&[u8]>) {
        let stream = self.chain.stream;
        let note =
            note.map(|note| verify_stream_note(note, &stream, root).map_err(|finding| finding.at(Some(stream), None)));
        match note {
            None => self.claim_faults.add(Finding::from(Code::NoCheckpoint).at(Some(stream), None)),
            Some(Err(fault)) => self.claim_faults.add(fault),
            Some(Ok(checkpoint)) => {
                self.claims.push(Claim::of_checkpoint(&checkpoint, ClaimSource::Checkpoint));
                self.checkpoint = Some(checkpoint);
            }
        }
        match root.pins.streams.get(&stream) {
            None => {}
            Some(Err(fault)) => self.claim_faults.add(fault.clone()),
            Some(Ok(pin)) => {
                self.claims.push(Claim::of_checkpoint(pin, ClaimSource::Pin));
                self.pin = Some(pin.clone());
            }
        }
    }

    /// Compares the sizes reached since the last time with what was signed for them.
    pub(super) fn compare(&mut self, root: &RootState) {
        let from = self.compared.map_or(0, |size| size + 1);
        let size = self.chain.size;
        for claim in self.claims_in(root, from..=size) {
            match self.compare_claim(&claim) {
                Ok(compared) => self.pin_holds |= compared && self.chain.intact && claim.source == ClaimSource::Pin,
                Err(finding) => self.claim_faults.add(finding.at(Some(self.chain.stream), claim.size)),
            }
        }
        self.compared = Some(size);
    }

    /// Returns whether the stream's state at the claim's size is known, and so what was signed for.
    fn compare_claim(&self, claim: &Claim) -> Result<bool, Finding> {
        let Some(tree) = &self.chain.tree else { return Ok(false) };
        let root = match claim.size {
            0 => empty_root(),
            size if size == self.chain.size => tree.root(),
            // Batches are missing there, which has been said.
            size if self.chain.last_seal.is_some_and(|last| size <= last.seal.first) => return Ok(false),
            _ => return Err((Code::CheckpointMismatch, claim.source.off_edge()).into()),
        };
        same_hash(Code::CheckpointMismatch, claim.source.root(), &claim.root, &root)?;
        let seal_hash = if claim.size == 0 { crate::seal::NO_SEAL } else { self.chain.seal_hash };
        let agrees = claim.seal_hash.is_none_or(|expected| expected == seal_hash);
        ensure(agrees, (Code::CheckpointMismatch, "a root leaf names another last seal")).map(|()| true)
    }

    fn claims_in(&self, root: &RootState, sizes: RangeInclusive<u64>) -> Vec<Claim> {
        let own = self.claims.iter().filter(|claim| sizes.contains(&claim.size));
        let leaves = root.stream(&self.chain.stream).map_or(&[][..], |stream| stream.claims_in(sizes.clone()));
        let mut claims: Vec<Claim> = own.chain(leaves).copied().collect();
        claims.sort_by_key(|claim| claim.size);
        claims
    }

    fn fault(&self, finding: Finding, index: u64) -> Fault {
        finding.at(Some(self.chain.stream), index)
    }
}

impl ClaimSource {
    fn root(self) -> &'static str {
        match self {
            ClaimSource::Checkpoint => "the root for the checkpoint",
            ClaimSource::Pin => "the root for the pin",
            ClaimSource::RootLeaf => "the root for a root leaf",
        }
    }

    fn off_edge(self) -> &'static str {
        match self {
            ClaimSource::Checkpoint => "the checkpoint's size is not a batch's edge",
            ClaimSource::Pin => "the pin's size is not a batch's edge",
            ClaimSource::RootLeaf => "a root leaf's size is not a batch's edge",
        }
    }
}

/// What the verification of one stream came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// The stream.
    pub stream: StreamId,
    /// Its size, as far as signed batches reach.
    pub size: u64,
    /// What holds.
    pub counts: Counts,
    /// Its checkpoint, if verified.
    pub checkpoint: Option<VerifiedCheckpoint>,
    /// Its pin, if verified.
    pub pin: Option<VerifiedCheckpoint>,
    /// Whether every event below the pinned size was there, and the root that they hash to is the pin's.
    pub pin_holds: bool,
    /// What was found.
    pub faults: Faults,
}
