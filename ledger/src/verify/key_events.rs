//! Checks the events that the ledger itself understands: openings, closings and gaps (format.md sections 6 and 7).

use super::chain::{Chain, Ending};
use super::faults::{Finding, ensure, same_hash, same_number};
use super::judge::HashedBatch;
use super::root_state::RootState;
use super::{Code, Detail};
use crate::batch::Batch;
use crate::epoch::{EpochStart, Start};
use crate::gap::Gap;
use crate::id::Role;
use crate::key_event::{CloseReason, Closing, KeyEvent, KeyEventError, SignedOpening};
use crate::kind;
use crate::leaf::plain_hash;
use crate::seal::Seal;

/// What a pass over a batch's events found.
#[derive(Debug, Default)]
pub(super) struct EventFacts {
    /// Events of kind span.
    pub(super) spans: u64,
    /// How the batch leaves its epoch.
    pub(super) ending: Ending,
    /// The first fault, and the event's index.
    pub(super) fault: Option<(u64, Finding)>,
    /// The first event of an unknown kind or version, and its index.
    pub(super) unknown: Option<(u64, Finding)>,
}

/// Whether a batch begins with an opening, of whatever version.
pub(super) fn begins_with_opening(batch: &Batch<'_>) -> bool {
    batch.events().next().is_some_and(is_opening)
}

fn is_opening(event: &[u8]) -> bool {
    event.starts_with(&[kind::KEY, 0x01])
}

/// Looks at the events of a batch, which begins an epoch or goes on with one.
pub(super) fn check_events(hashed: &HashedBatch<'_>, chain: &Chain, root: &RootState, begins: bool) -> EventFacts {
    let seal = hashed.batch().seal();
    let mut facts = EventFacts { spans: hashed.spans(), ..EventFacts::default() };
    for (index, event) in hashed.looked_into() {
        let place = Place { chain, root, seal, index, begins };
        // The kind byte is there: no event is empty.
        let checked = match event.first().copied().unwrap_or_default() {
            kind::GAP => Gap::parse(event).map(|_| ()).map_err(unparsed),
            kind::KEY => {
                let checked = place.check_key_event(event);
                facts.ending = Place::ending(event, &checked);
                checked.map(|_| ())
            }
            _ => Err((Code::UnknownVersion, "the kind of the event is unknown").into()),
        };
        match checked {
            Err(finding) if finding.code == Code::UnknownVersion => _ = facts.unknown.get_or_insert((index, finding)),
            Err(finding) => _ = facts.fault.get_or_insert((index, finding)),
            Ok(()) => {}
        }
    }
    facts
}

/// Whether the ledger knows the kind and does not look into its events.
pub(super) fn is_plain(event_kind: u8) -> bool {
    kind::is_known(event_kind) && !matches!(event_kind, kind::GAP | kind::KEY)
}

fn unparsed(error: KeyEventError) -> Finding {
    let code = match error {
        KeyEventError::Version { .. } => Code::UnknownVersion,
        _ => Code::MalformedKeyEvent,
    };
    (code, Detail::KeyEvent(error)).into()
}

/// Where an event stands.
struct Place<'a> {
    chain: &'a Chain,
    root: &'a RootState,
    seal: &'a Seal,
    index: u64,
    /// The batch begins an epoch.
    begins: bool,
}

impl Place<'_> {
    /// What a key event does to its epoch. One of an unknown type or version that is no opening may close it.
    fn ending(event: &[u8], checked: &Result<Option<CloseReason>, Finding>) -> Ending {
        match checked {
            Ok(closed) => closed.map_or(Ending::Open, Ending::Closed),
            Err(finding) if finding.code == Code::UnknownVersion && !is_opening(event) => Ending::Unknown,
            Err(_) => Ending::Open,
        }
    }

    /// Checks an event of kind 9, and returns the reason if it is a closing.
    fn check_key_event(&self, event: &[u8]) -> Result<Option<CloseReason>, Finding> {
        let is_first = self.begins && self.index == self.seal.first;
        let is_last = self.index + 1 == self.seal.size();
        ensure(is_first || (is_last && !is_opening(event)), Code::EventMisplaced)?;
        match KeyEvent::parse(event).map_err(unparsed)? {
            KeyEvent::Opening(opening) => self.check_opening(&opening).map(|()| None),
            KeyEvent::Closing(closing) => self.check_closing(&closing).map(|()| Some(closing.reason)),
        }
    }

    fn check_closing(&self, closing: &Closing) -> Result<(), Finding> {
        let stands =
            closing.stream == self.seal.stream && closing.epoch == self.seal.epoch && closing.index == self.index;
        ensure(stands, (Code::MalformedKeyEvent, "the closing names another stream, epoch or index than its own"))
    }

    fn check_opening(&self, signed: &SignedOpening) -> Result<(), Finding> {
        let opening = &signed.opening;
        let name = self.root.deployment();
        let deployment = name.map(|name| plain_hash(name.as_str().as_bytes()));
        ensure(deployment.is_none_or(|hash| hash == opening.deployment), Code::WrongDeployment)?;
        self.check_place(&opening.epoch)?;
        self.check_start(&opening.epoch)?;
        self.check_root_leaf(signed)?;
        self.check_identity(signed)?;
        self.check_rotation(signed)
    }

    /// The opening names the state that it stands behind.
    fn check_place(&self, epoch: &EpochStart) -> Result<(), Finding> {
        const CODE: Code = Code::MalformedKeyEvent;
        ensure(epoch.stream == self.seal.stream, (CODE, "the opening names another stream"))?;
        same_number(CODE, "the opening's epoch", u64::from(self.seal.epoch), u64::from(epoch.epoch))?;
        same_number(CODE, "the opening's index", self.index, epoch.first)?;
        if !self.chain.is_next(self.seal) {
            return Ok(());
        }
        same_hash(CODE, "the opening's last seal", &self.chain.seal_hash, &epoch.seal_hash)?;
        match &self.chain.tree {
            Some(tree) => same_hash(CODE, "the opening's root", &tree.root(), &epoch.root),
            None => Ok(()),
        }
    }

    /// Start 1 is epoch 1 at index 0; start 2 and 3 follow a closing of that reason; start 4 follows anything.
    fn check_start(&self, epoch: &EpochStart) -> Result<(), Finding> {
        let unread = !self.chain.is_next(self.seal);
        let before = self.chain.epoch.as_ref();
        let ending = before.map_or(Ending::Open, |before| before.ending);
        let closed_by = |reason| ending == Ending::Closed(reason) || ending == Ending::Unknown;
        let directly = before.is_some_and(|before| before.number.checked_add(1) == Some(epoch.epoch));
        let holds = match epoch.start {
            Start::First => epoch.epoch == 1 && epoch.first == 0,
            Start::AfterClose => unread || closed_by(CloseReason::Shutdown),
            Start::Rotation => unread || (directly && closed_by(CloseReason::Rotation)),
            Start::AfterUncleanStop => true,
        };
        let fact = "the opening's start is not what stands before it";
        ensure(holds && (epoch.start == Start::First) == (epoch.epoch == 1), (Code::MalformedKeyEvent, fact))
    }

    fn check_root_leaf(&self, signed: &SignedOpening) -> Result<(), Finding> {
        let opening = &signed.opening;
        let Some(registered) = self.root.epoch(&opening.epoch.stream, opening.epoch.epoch) else {
            return Err((Code::OpeningMismatch, "the root log does not open the epoch").into());
        };
        same_number(Code::OpeningMismatch, "the opening's root leaf", registered.leaf, opening.root_leaf)?;
        let fact = "the opening is not what its root leaf says";
        ensure(registered.start == opening.epoch, (Code::OpeningMismatch, fact))
    }

    fn check_identity(&self, signed: &SignedOpening) -> Result<(), Finding> {
        let opening = &signed.opening;
        let identity = self.root.ring.find(Role::Identity, &opening.identity);
        let identity = identity.ok_or((Code::UnknownKey, Detail::Key(opening.identity)))?;
        let message = opening.signed_bytes();
        let by_identity = identity.key.verify(&message, &signed.signature);
        by_identity.map_err(|_| (Code::BadSignature, "the opening's signature does not verify"))?;
        identity.check_range(opening.root_leaf)
    }

    fn check_rotation(&self, signed: &SignedOpening) -> Result<(), Finding> {
        let epoch = &signed.opening.epoch;
        if epoch.start != Start::Rotation {
            return Ok(());
        }
        let outgoing = epoch.epoch.checked_sub(1).and_then(|before| self.root.epoch(&epoch.stream, before));
        let message = signed.opening.signed_bytes();
        let verified = outgoing.is_some_and(|outgoing| outgoing.key.verify(&message, &signed.outgoing).is_ok());
        ensure(verified, Code::RotationUnsigned)
    }
}
