//! Where a stream's verification stands: what the next batch must continue, and which of it is known.

use alloc::collections::VecDeque;

use super::root_state::{EpochRoot, RootState};
use crate::id::StreamId;
use crate::key_event::CloseReason;
use crate::leaf::Hash;
use crate::seal::{Counters, NO_SEAL, Seal, SignedSeal};
use crate::tree::Frontier;

/// Seals that are remembered in order to tell a repeated batch from a fork.
pub(super) const HISTORY_MAX: usize = 65_536;

/// The state after the batches adopted so far.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) stream: StreamId,
    /// The next index.
    pub(super) size: u64,
    pub(super) seal_hash: Hash,
    pub(super) wall: u64,
    /// The tree; `None` once events are missing or do not hash to their root, until a frontier is found to hold.
    pub(super) tree: Option<Frontier>,
    /// Every event below `size` was there and hashed to a signed root: what a frontier says cannot make up for one.
    pub(super) intact: bool,
    pub(super) epoch: Option<EpochState>,
    /// A batch was refused, and what follows may lie beyond it: position and link are taken from the next that is signed.
    pub(super) adrift: bool,
    pub(super) last_seal: Option<SignedSeal>,
    history: VecDeque<(u64, Hash)>,
    /// From here on the history of the epoch is complete.
    history_from: u64,
}

/// The epoch in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct EpochState {
    pub(super) number: u32,
    pub(super) ending: Ending,
    pub(super) monotonic: u64,
    pub(super) wall_behind: u64,
    pub(super) counters: Counters,
}

/// How an epoch's last batch so far leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It goes on.
    #[default]
    Open,
    /// By its closing event.
    Closed(CloseReason),
    /// Perhaps: by a key event of an unknown type or version.
    Unknown,
}

impl EpochState {
    pub(super) fn after(seal: &Seal, ending: Ending) -> EpochState {
        EpochState {
            number: seal.epoch,
            ending,
            monotonic: seal.monotonic,
            wall_behind: seal.wall_behind,
            counters: seal.counters,
        }
    }
}

/// What the history says of a batch before the next index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    SameSeal,
    OtherSeal,
    Forgotten,
}

impl Chain {
    pub(super) fn new(stream: StreamId) -> Chain {
        Chain {
            stream,
            size: 0,
            seal_hash: NO_SEAL,
            wall: 0,
            tree: Some(Frontier::new()),
            intact: true,
            epoch: None,
            adrift: false,
            last_seal: None,
            history: VecDeque::new(),
            history_from: 0,
        }
    }

    /// Goes on from a verified seal, its tree and its epoch.
    pub(super) fn resumed(seal: &SignedSeal, tree: Frontier, epoch: EpochState) -> Chain {
        Chain {
            stream: seal.seal.stream,
            size: seal.seal.size(),
            seal_hash: seal.hash(),
            wall: seal.seal.wall,
            tree: Some(tree),
            intact: true,
            epoch: Some(epoch),
            adrift: false,
            last_seal: Some(*seal),
            history: VecDeque::new(),
            history_from: seal.seal.size(),
        }
    }

    /// The number of the epoch in force; 0 before the first.
    pub(super) fn epoch_number(&self) -> u32 {
        self.epoch.map_or(0, |epoch| epoch.number)
    }

    /// Whether the batch stands where the last one that was adopted ends.
    pub(super) fn is_next(&self, seal: &Seal) -> bool {
        seal.first == self.size && (!self.adrift || seal.previous == self.seal_hash)
    }

    /// Whether `epoch` is the one after that in force, but for those that ended without an event.
    pub(super) fn may_begin(&self, epoch: u32, root: &RootState) -> bool {
        let Some(stream) = root.stream(&self.stream) else { return epoch == self.epoch_number() + 1 };
        let between = self.epoch_number().saturating_add(1)..epoch;
        epoch > self.epoch_number()
            && between.end <= stream.last_epoch().saturating_add(1)
            && !stream.epoch(epoch).is_some_and(EpochRoot::is_empty)
            && between.into_iter().all(|number| stream.epoch(number).is_some_and(|epoch| epoch.is_empty()))
    }

    pub(super) fn past(&self, seal: &SignedSeal) -> Past {
        let first = seal.seal.first;
        match self.history.binary_search_by_key(&first, |(first, _)| *first) {
            Ok(place) if self.history.get(place).is_some_and(|(_, hash)| *hash == seal.hash()) => Past::SameSeal,
            Err(_) if first < self.history_from => Past::Forgotten,
            _ => Past::OtherSeal,
        }
    }

    /// Takes over a signed batch's seal, and the tree if it was found to agree.
    pub(super) fn adopt(&mut self, seal: &SignedSeal, epoch: EpochState, tree: Option<Frontier>) {
        if epoch.number != self.epoch_number() {
            self.history.clear();
            self.history_from = seal.seal.first;
        }
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
            self.history_from = self.history.front().map_or(seal.seal.first, |(first, _)| *first);
        }
        self.intact &= self.is_next(&seal.seal) && self.tree.is_some() && tree.is_some();
        let hash = seal.hash();
        self.history.push_back((seal.seal.first, hash));
        self.size = seal.seal.size();
        self.seal_hash = hash;
        self.wall = seal.seal.wall;
        self.tree = tree;
        self.epoch = Some(epoch);
        self.adrift = false;
        self.last_seal = Some(*seal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SIGNED_LEN;

    /// A seal over one event; only `wall` tells two of one index apart.
    fn seal(first: u64, wall: u64) -> SignedSeal {
        let counters = Counters::default();
        let (root, previous) = ([0; 32], NO_SEAL);
        let stream = StreamId([1; 16]);
        let (monotonic, wall_behind) = (0, 0);
        let seal = Seal { stream, epoch: 1, count: 1, first, root, previous, wall, monotonic, wall_behind, counters };
        assert_eq!(seal.signed_bytes().len(), SIGNED_LEN);
        SignedSeal { seal, signature: [0; 64] }
    }

    #[test]
    fn tells_a_fork_from_a_repetition_among_the_latest_65536_batches() {
        let mut chain = Chain::new(StreamId([1; 16]));
        let adopt = |chain: &mut Chain, first| {
            let seal = seal(first, 0);
            chain.adopt(&seal, EpochState::after(&seal.seal, Ending::Open), None);
        };
        (0..65_536).for_each(|first| adopt(&mut chain, first));
        assert_eq!((chain.past(&seal(0, 0)), chain.past(&seal(0, 1))), (Past::SameSeal, Past::OtherSeal));
        adopt(&mut chain, 65_536);
        assert_eq!((chain.past(&seal(0, 0)), chain.past(&seal(0, 1))), (Past::Forgotten, Past::Forgotten));
        assert_eq!((chain.past(&seal(1, 0)), chain.past(&seal(1, 1))), (Past::SameSeal, Past::OtherSeal));
    }
}
