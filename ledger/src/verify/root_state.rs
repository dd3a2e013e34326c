//! What a root log says, after each leaf that was accepted (format.md section 8).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::faults::Faults;
use super::ring::KeyRing;
use crate::checkpoint::VerifiedCheckpoint;
use crate::epoch::EpochStart;
use crate::id::{Deployment, Role, StreamId};
use crate::key::PublicKey;
use crate::leaf::Hash;
use crate::root_leaf::{EpochClose, Predecessor, StreamSize};

/// The root log as verified so far: keys, streams, epochs, and what was signed for which size.
#[derive(Clone, Debug, Default)]
pub struct RootState {
    pub(super) deployment: Option<Deployment>,
    pub(super) ring: KeyRing,
    pub(super) streams: Vec<StreamRoot>,
    pub(super) places: BTreeMap<StreamId, usize>,
    pub(super) size: u64,
    /// Hashes of the leaves, up to the first that is missing.
    pub(super) leaves: Vec<Hash>,
    /// The first leaf of an unknown version or op.
    pub(super) unknown_leaf: Option<u64>,
    pub(super) checkpoint: Option<VerifiedCheckpoint>,
    pub(super) pins: Pins,
    pub(super) faults: Faults,
}

/// What the trust file pins, verified.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins {
    pub(super) trusted: bool,
    pub(super) root: Option<VerifiedCheckpoint>,
    pub(super) streams: BTreeMap<StreamId, Result<VerifiedCheckpoint, super::Fault>>,
}

impl RootState {
    /// The deployment, once the genesis leaf was accepted.
    pub fn deployment(&self) -> Option<&Deployment> {
        self.deployment.as_ref()
    }

    /// The key of a role that has not ended.
    pub fn key_in_force(&self, role: Role) -> Option<&PublicKey> {
        self.ring.in_force(role)
    }

    /// Number of leaves, those refused or missing included.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_missing_leaves(&self) -> bool {
        self.size != self.leaves.len() as u64
    }

    /// The leaf hashes up to the first leaf that is missing, from which proofs about the root log are made.
    pub fn leaf_hashes(&self) -> &[Hash] {
        &self.leaves
    }

    /// The streams, in the order in which they were opened.
    pub fn streams(&self) -> &[StreamRoot] {
        &self.streams
    }

    /// What the root log says of a stream.
    pub fn stream(&self, stream: &StreamId) -> Option<&StreamRoot> {
        self.places.get(stream).and_then(|place| self.streams.get(*place))
    }

    /// An epoch of a stream.
    pub fn epoch(&self, stream: &StreamId, epoch: u32) -> Option<&EpochRoot> {
        self.stream(stream)?.epoch(epoch)
    }

    /// The root log's checkpoint, if it was given and verified.
    pub fn checkpoint(&self) -> Option<&VerifiedCheckpoint> {
        self.checkpoint.as_ref()
    }

    /// The faults of the root log itself.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn stream_mut(&mut self, stream: &StreamId) -> Option<&mut StreamRoot> {
        self.places.get(stream).and_then(|place| self.streams.get_mut(*place))
    }

    /// Whether a leaf of an unknown version is covered by the checkpoint, so that it was not merely put there.
    pub(super) fn has_signed_unknown(&self) -> bool {
        let signed = self.checkpoint.as_ref().map_or(0, VerifiedCheckpoint::size);
        self.unknown_leaf.is_some_and(|leaf| leaf < signed)
    }
}

/// What the root log says of one stream.
#[derive(Clone, Debug)]
pub struct StreamRoot {
    /// The stream.
    pub stream: StreamId,
    /// Index of its stream-open leaf.
    pub leaf: u64,
    /// The stream that it follows.
    pub predecessor: Option<Predecessor>,
    /// Its epochs; number 1 first.
    pub epochs: Vec<EpochRoot>,
    /// Its end, if it was closed.
    pub closed: Option<StreamSize>,
    /// Its last stream-checkpoint leaf.
    pub last_checkpoint: Option<(u64, StreamSize)>,
    /// What was signed for its sizes, in ascending order of size.
    pub(super) claims: Vec<Claim>,
}

impl StreamRoot {
    /// The epoch with that number.
    pub fn epoch(&self, epoch: u32) -> Option<&EpochRoot> {
        self.epochs.get(usize::try_from(epoch.checked_sub(1)?).ok()?)
    }

    /// The number of the last epoch that was opened; 0 before the first. The next has one more.
    pub fn last_epoch(&self) -> u32 {
        // Epochs count up from 1 in a u32.
        self.epochs.len() as u32
    }

    pub(super) fn claim(&mut self, claim: Claim) {
        let place = self.claims.partition_point(|other| other.size <= claim.size);
        self.claims.insert(place, claim);
    }

    pub(super) fn claims_in(&self, sizes: RangeInclusive<u64>) -> &[Claim] {
        let from = self.claims.partition_point(|claim| claim.size < *sizes.start());
        let to = self.claims.partition_point(|claim| claim.size <= *sizes.end());
        self.claims.get(from..to).unwrap_or_default()
    }
}

/// What the root log says of one epoch.
#[derive(Clone, Debug)]
pub struct EpochRoot {
    /// Index of its epoch-open leaf.
    pub leaf: u64,
    /// What it continues.
    pub start: EpochStart,
    /// Its key.
    pub key: PublicKey,
    /// Its end, if it was closed.
    pub close: Option<EpochClose>,
}

impl EpochRoot {
    /// Whether the epoch ended where it began: its opening event never became durable.
    pub fn is_empty(&self) -> bool {
        self.close.is_some_and(|close| close.at.size == self.start.first)
    }
}

/// Something signed that says what a stream is at a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) seal_hash: Option<Hash>,
    pub(super) source: ClaimSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimSource {
    Checkpoint,
    Pin,
    RootLeaf,
}

impl Claim {
    pub(super) fn of_checkpoint(checkpoint: &VerifiedCheckpoint, source: ClaimSource) -> Claim {
        Claim { size: checkpoint.size(), root: *checkpoint.root(), seal_hash: None, source }
    }

    pub(super) fn of_size(at: &StreamSize, seal_hash: Option<Hash>) -> Claim {
        Claim { size: at.size, root: at.root, seal_hash, source: ClaimSource::RootLeaf }
    }
}
