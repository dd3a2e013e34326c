//! Judges one batch against what it must continue (format.md section 14, step 2).

use alloc::vec::Vec;

use super::chain::{Chain, Ending, EpochState, Past};
use super::faults::{Finding, ensure, same_hash};
use super::key_events::{EventFacts, begins_with_opening, check_events, is_plain};
use super::root_state::{EpochRoot, RootState};
use super::{Code, Detail};
use crate::batch::{Batch, BatchError};
use crate::key::PublicKey;
use crate::kind;
use crate::leaf::{Hash, leaf_hash};
use crate::seal::Seal;
use crate::tree::Frontier;

/// A batch with the hashes of its events: the part of verification that needs no order and can be spread over cores.
#[derive(Clone, Debug)]
pub struct HashedBatch<'a> {
    batch: Batch<'a>,
    leaves: Vec<Hash>,
    /// Span events of the batch.
    spans: u64,
    /// Place and bytes of the events of which the kind alone does not say all: so the pass in order touches no others.
    looked_into: Vec<(u64, &'a [u8])>,
    /// The key that was found to have signed the seal.
    signer: Option<PublicKey>,
}

impl<'a> HashedBatch<'a> {
    /// Parses a batch and hashes its events.
    ///
    /// # Errors
    /// When the batch does not parse.
    pub fn parse(bytes: &'a [u8]) -> Result<HashedBatch<'a>, BatchError> {
        let batch = Batch::parse(bytes)?;
        let (mut leaves, mut spans, mut looked_into) = (Vec::new(), 0, Vec::new());
        leaves.reserve_exact(usize::from(batch.seal().count));
        for (event, place) in batch.events().zip(0..) {
            leaves.push(leaf_hash(event));
            match event.first().copied().unwrap_or_default() {
                kind::SPAN => spans += 1,
                kind if is_plain(kind) => {}
                _ => looked_into.push((place, event)),
            }
        }
        Ok(HashedBatch { batch, leaves, spans, looked_into, signer: None })
    }

    /// Span events of the batch.
    pub(super) fn spans(&self) -> u64 {
        self.spans
    }

    /// Index and bytes of the events that are not spans, nor of another kind that the ledger does not look into.
    pub(super) fn looked_into(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let first = self.batch.seal().first;
        self.looked_into.iter().map(move |(place, event)| (first.saturating_add(*place), *event))
    }

    /// Verifies the seal's signature ahead of its turn, by the key that the root log has for its epoch.
    pub fn verify_signature(&mut self, root: &RootState) {
        let signed = self.batch.signed_seal();
        let key = root.epoch(&signed.seal.stream, signed.seal.epoch).map(|epoch| epoch.key);
        self.signer = key.filter(|key| signed.verify(key).is_ok());
    }

    /// Whether this key signed the seal: known already, or verified now.
    fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signer.as_ref() == Some(key) || self.batch.signed_seal().verify(key).is_ok()
    }

    /// The batch.
    pub fn batch(&self) -> &Batch<'a> {
        &self.batch
    }

    /// The leaves of its events, in order.
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }
}

/// What is to be said of a batch, and what it leaves behind.
pub(super) struct Judgement {
    /// The first fault in the order of section 14, and its place.
    pub(super) fault: Option<(u64, Finding)>,
    /// The first event of an unknown kind or version, and its index.
    pub(super) unknown: Option<(u64, Finding)>,
    /// Span events of the batch.
    pub(super) spans: u64,
    /// How the stream goes on, if the batch is signed and stands behind the last one.
    pub(super) next: Option<(EpochState, Option<Frontier>)>,
}

/// Judges a batch. `frontier` is an unproven tree that a lost one may be replaced by, if the batch's signed root bears it out.
pub(super) fn judge(
    chain: &Chain,
    frontier: Option<&Frontier>,
    root: &RootState,
    hashed: &HashedBatch<'_>,
) -> Judgement {
    let seal = hashed.batch.seal();
    if let Err(wrong_stream) = ensure(seal.stream == chain.stream, Code::WrongStream) {
        return Judgement { fault: Some((seal.first, wrong_stream)), unknown: None, spans: 0, next: None };
    }
    let view = View::new(chain, root, &hashed.batch);
    if view.begins && view.registered.is_none() && root.has_signed_unknown() {
        // The leaf that opens the epoch may be one that cannot be read: so is the epoch's key.
        let unread = (Code::UnknownVersion, "the epoch, or the leaf that opens it, is of an unknown version");
        return Judgement { fault: Some((seal.first, unread.into())), unknown: None, spans: 0, next: None };
    }
    let events = check_events(hashed, chain, root, view.begins);
    let key = view.registered.map(|epoch| epoch.key);
    let signed = key.filter(|key| hashed.is_signed_by(key));
    let tree = view.grow(frontier, &hashed.leaves);

    let fault = first_fault(&view, &events, signed.is_some(), &tree);
    let follows = seal.first >= chain.size && seal.epoch >= chain.epoch_number();
    let ignored = fault.as_ref().is_some_and(|(_, finding)| finding.code == Code::SealAfterClose);
    let taken = signed.is_some() && follows && !ignored;
    let next = taken.then(|| (EpochState::after(seal, events.ending), tree.ok().flatten()));
    Judgement { fault, unknown: events.unknown, spans: events.spans, next }
}

/// Names the first fault in the order of section 14.
fn first_fault(
    view: &View<'_>,
    events: &EventFacts,
    signed: bool,
    tree: &Result<Option<Frontier>, Finding>,
) -> Option<(u64, Finding)> {
    let at_first = |finding| (view.seal.first, finding);
    if let Err(fault) = view.check_position() {
        return Some(fault);
    }
    if view.is_past() {
        // What was sealed before stands: nothing but the signature and the seal of this one says what it is.
        let past = if signed { view.past() } else { Code::BadSignature.into() };
        return Some(at_first(past));
    }
    if let Some(fault) = &events.fault {
        return Some(fault.clone());
    }
    let mut fault = ensure(signed, Code::BadSignature).err().map(at_first);
    fault = fault.or_else(|| view.check_link().err().map(at_first));
    fault = fault.or_else(|| tree.clone().err().map(at_first));
    fault = fault.or_else(|| view.check_times().err().map(at_first));
    fault.or_else(|| view.check_counters(events.spans).err().map(at_first))
}

/// A batch beside what it must continue.
struct View<'a> {
    chain: &'a Chain,
    batch: &'a Batch<'a>,
    seal: &'a Seal,
    /// What the root log says of the seal's epoch.
    registered: Option<&'a EpochRoot>,
    /// The seal's epoch is later than the one in force, may begin here, and begins with its opening.
    begins: bool,
    is_next: bool,
}

impl<'a> View<'a> {
    fn new(chain: &'a Chain, root: &'a RootState, batch: &'a Batch<'a>) -> View<'a> {
        let seal = batch.seal();
        View {
            chain,
            batch,
            seal,
            registered: root.epoch(&chain.stream, seal.epoch),
            begins: chain.may_begin(seal.epoch, root) && begins_with_opening(batch),
            is_next: chain.is_next(seal),
        }
    }

    /// The epoch in force, if the seal is of it.
    fn same_epoch(&self) -> Option<&EpochState> {
        self.chain.epoch.as_ref().filter(|epoch| epoch.number == self.seal.epoch)
    }

    /// Head, epoch, index and run.
    fn check_position(&self) -> Result<(), (u64, Finding)> {
        let (chain, seal) = (self.chain, self.seal);
        let missing = seal.first > chain.size && !chain.adrift;
        let numbers = Detail::Numbers { what: "the first index", expected: chain.size, got: seal.first };
        let nothing_before = chain.last_seal.is_none();
        ensure(!(missing && nothing_before), (Code::HeadMissing, numbers.clone())).map_err(|f| (chain.size, f))?;
        self.check_epoch().map_err(|finding| (seal.first, finding))?;
        ensure(!missing, (Code::IndexGap, numbers)).map_err(|finding| (chain.size, finding))?;
        // A batch before the next index is a fork or a repetition, if it is signed.
        let crosses = !self.is_past() && seal.crosses_run();
        ensure(!crosses, Code::BatchCrossesRun).map_err(|finding| (seal.first, finding))
    }

    fn check_epoch(&self) -> Result<(), Finding> {
        let close = self.registered.and_then(|epoch| epoch.close);
        let closed = close.is_some_and(|close| self.seal.first >= close.at.size);
        let closed_by_event = self.same_epoch().is_some_and(|epoch| matches!(epoch.ending, Ending::Closed(_)));
        ensure(!closed && !closed_by_event, Code::SealAfterClose)?;
        let (expected, got) = (u64::from(self.chain.epoch_number()), u64::from(self.seal.epoch));
        let in_force = self.same_epoch().is_some() || self.begins;
        ensure(in_force, (Code::WrongEpoch, Detail::Numbers { what: "the epoch", expected, got }))
    }

    /// Whether the batch stands where something was sealed before.
    fn is_past(&self) -> bool {
        self.seal.first < self.chain.size
    }

    /// What a signed batch is in the place of an earlier one: a repetition or a fork.
    fn past(&self) -> Finding {
        match self.chain.past(self.batch.signed_seal()) {
            Past::SameSeal => Code::RepeatedBatch.into(),
            Past::OtherSeal => Code::Fork.into(),
            Past::Forgotten => (Code::RepeatedBatch, "too far back to be compared").into(),
        }
    }

    fn check_link(&self) -> Result<(), Finding> {
        if self.chain.adrift {
            return Ok(());
        }
        same_hash(Code::BrokenLink, "the previous seal's hash", &self.chain.seal_hash, &self.seal.previous)
    }

    /// Appends the batch's leaves to the tree and compares the root; `None` when the tree is not known.
    fn grow(&self, frontier: Option<&Frontier>, leaves: &[Hash]) -> Result<Option<Frontier>, Finding> {
        let known = self.chain.tree.as_ref().filter(|_| self.is_next);
        let candidate = frontier.filter(|frontier| frontier.size() == self.seal.first);
        let Some(tree) = known.or(candidate) else { return Ok(None) };
        let mut tree = tree.clone();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        match same_hash(Code::RootMismatch, "the root", &self.seal.root, &tree.root()) {
            Ok(()) => Ok(Some(tree)),
            Err(_) if known.is_none() => Ok(None),
            Err(finding) => Err(finding),
        }
    }

    fn check_times(&self) -> Result<(), Finding> {
        let backwards = |code, what, before, now| {
            ensure(now >= before, (code, Detail::Numbers { what, expected: before, got: now }))
        };
        let wall = "the wall time, which must not be below";
        backwards(Code::WallTimeBackwards, wall, self.chain.wall, self.seal.wall)?;
        let monotonic = "the monotonic time, which must not be below";
        let before = self.same_epoch().map_or(0, |epoch| epoch.monotonic);
        backwards(Code::MonotonicBackwards, monotonic, before, self.seal.monotonic)
    }

    fn check_counters(&self, spans: u64) -> Result<(), Finding> {
        let now = &self.seal.counters;
        ensure(now.add_up(), (Code::Counters, "received is not the sum of what became of the spans"))?;
        let before = self.same_epoch();
        let grew =
            before.is_none_or(|epoch| now.grew_from(&epoch.counters) && self.seal.wall_behind >= epoch.wall_behind);
        ensure(grew, (Code::Counters, "a counter fell"))?;
        let sealed_before = match before {
            Some(epoch) if self.is_next => epoch.counters.sealed,
            None if self.begins => 0,
            // Batches are missing before this one.
            _ => return Ok(()),
        };
        let expected = sealed_before.saturating_add(spans);
        super::faults::same_number(Code::Counters, "the number of span events sealed", expected, now.sealed)
    }
}
