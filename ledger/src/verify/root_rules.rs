//! The rules of section 8: who signs a root leaf, and what it may say after those before it.

use super::faults::{Finding, ensure, same_hash, same_number};
use super::root_state::{Claim, EpochRoot, RootState, StreamRoot};
use super::{Code, Detail};
use crate::epoch::{EpochStart, Start};
use crate::id::{Deployment, Role, StreamId};
use crate::key::{KeyError, KeyId, PUBLIC_KEY_LEN, PublicKey};
use crate::leaf::Hash;
use crate::root_leaf::{CloseHow, EpochClose, Genesis, RootLeaf, RootOp, StreamOpen, StreamSize};
use crate::seal::NO_SEAL;
use crate::tree::empty_root;
use crate::trust::Trust;

impl RootState {
    /// Takes a leaf into the state, or names the first thing that is wrong with it; a leaf refused has no effect.
    pub(super) fn apply(&mut self, index: u64, leaf: &RootLeaf<'_>, trust: Option<&Trust>) -> Result<(), Finding> {
        match (&leaf.op, index) {
            (RootOp::Genesis(genesis), 0) => self.apply_genesis(leaf, genesis, trust),
            (RootOp::Genesis(_), _) => Err((Code::RootRule, "a second genesis").into()),
            (_, 0) => Err((Code::RootRule, "leaf 0 is not the genesis").into()),
            (op, _) => {
                let new_key = new_key_of(op)?;
                self.check_signer(index, leaf)?;
                self.check_co_signers(leaf, new_key.as_ref())?;
                self.apply_op(index, op, new_key)
            }
        }
    }

    fn apply_genesis(&mut self, leaf: &RootLeaf<'_>, genesis: &Genesis, trust: Option<&Trust>) -> Result<(), Finding> {
        let name = &genesis.deployment;
        ensure(trust.is_none_or(|trust| trust.deployment == *name), Code::WrongDeployment)?;
        let [identity, checkpoint, cosign, sequencer] = genesis.keys.each_ref().map(registrable);
        let keys = [identity?, checkpoint?, cosign?, sequencer?];
        let signer = keys[0].id(&name.role_name(Role::Identity));
        ensure(signer == leaf.signer, (Code::UnknownKey, Detail::Key(leaf.signer)))?;
        let is_trusted = |(role, key): (&Role, &PublicKey)| trust.is_none_or(|trust| trust.keys.of(*role) == key);
        let trusted = ensure(
            Role::ALL.iter().zip(&keys).all(is_trusted),
            (Code::UnknownKey, "the genesis keys are not those of the trust file"),
        );
        let signatures = core::iter::once(&leaf.signature).chain(&leaf.more);
        let signed = keys.iter().zip(signatures).all(|(key, signature)| key.verify(leaf.message, signature).is_ok());
        if !signed {
            return trusted.and(Err(Code::BadSignature.into()));
        }
        for (role, key) in Role::ALL.into_iter().zip(keys) {
            self.ring.register(role, key, key.id(&name.role_name(role)), 0);
        }
        self.deployment = Some(name.clone());
        // Keys that are not the trusted ones have been taken in order to go on; that they are wrong is said all the same.
        trusted
    }

    fn check_signer(&self, index: u64, leaf: &RootLeaf<'_>) -> Result<(), Finding> {
        let unknown = || Finding::from((Code::UnknownKey, Detail::Key(leaf.signer)));
        if let RootOp::EpochClose(close @ EpochClose { how: CloseHow::ByEpochKey, .. }) = &leaf.op {
            let key = self.epoch(&close.at.stream, close.epoch).map(|epoch| epoch.key).ok_or_else(unknown)?;
            let name = self.name(|name| name.epoch_name(&close.at.stream, close.epoch)).ok_or_else(unknown)?;
            ensure(key.id(&name) == leaf.signer, unknown())?;
            return key.verify(leaf.message, &leaf.signature).map_err(|_| Code::BadSignature.into());
        }
        let role = match leaf.op {
            RootOp::StreamCheckpoint(_) => Role::Checkpoint,
            _ => Role::Identity,
        };
        let signer = self.ring.find(role, &leaf.signer).ok_or_else(unknown)?;
        signer.key.verify(leaf.message, &leaf.signature).map_err(|_| Code::BadSignature)?;
        signer.check_range(index)
    }

    fn check_co_signers(&self, leaf: &RootLeaf<'_>, new_key: Option<&PublicKey>) -> Result<(), Finding> {
        if let (Some(new_key), Some(signature)) = (new_key, leaf.more.first()) {
            new_key.verify(leaf.message, signature).map_err(|_| Code::BadSignature)?;
        }
        match (&leaf.op, leaf.more.get(1)) {
            (RootOp::EpochOpen(epoch), Some(signature)) => {
                let outgoing = epoch.epoch.checked_sub(1).and_then(|before| self.epoch(&epoch.stream, before));
                let verified = outgoing.is_some_and(|outgoing| outgoing.key.verify(leaf.message, signature).is_ok());
                ensure(verified, Code::RotationUnsigned)
            }
            _ => Ok(()),
        }
    }

    fn apply_op(&mut self, index: u64, op: &RootOp, new_key: Option<PublicKey>) -> Result<(), Finding> {
        match (op, new_key) {
            (RootOp::Register { role, .. }, Some(key)) => self.register(*role, key, index),
            (RootOp::EpochOpen(start), Some(key)) => {
                self.open_epoch(EpochRoot { leaf: index, start: *start, key, close: None })
            }
            (RootOp::Revoke { key }, _) => self.revoke(key, index),
            (RootOp::StreamOpen(open), _) => self.open_stream(open, index),
            (RootOp::EpochClose(close), _) => self.live_stream(&close.at.stream)?.close_epoch(close),
            (RootOp::StreamClose(at), _) => self.live_stream(&at.stream)?.close(at),
            (RootOp::StreamCheckpoint(at), _) => self.live_stream(&at.stream)?.checkpoint(at, index),
            (RootOp::Genesis(_) | RootOp::Register { .. } | RootOp::EpochOpen(_), _) => Err(Code::RootRule.into()),
        }
    }

    fn register(&mut self, role: Role, key: PublicKey, index: u64) -> Result<(), Finding> {
        let id = self.name(|name| key.id(&name.role_name(role))).ok_or(Code::RootRule)?;
        ensure(!self.ring.contains(&id), (Code::RootRule, "the key was registered before"))?;
        self.ring.register(role, key, id, index + 1);
        Ok(())
    }

    fn revoke(&mut self, key: &KeyId, index: u64) -> Result<(), Finding> {
        ensure(self.ring.contains(key), (Code::RootRule, "the key to revoke is not registered"))?;
        self.ring.revoke(key, index + 1);
        Ok(())
    }

    fn open_stream(&mut self, open: &StreamOpen, index: u64) -> Result<(), Finding> {
        ensure(self.stream(&open.stream).is_none(), (Code::RootRule, "the stream was opened before"))?;
        let known = open.predecessor.is_none_or(|before| self.stream(&before.stream).is_some());
        ensure(known, (Code::RootRule, "the predecessor was never opened"))?;
        self.places.insert(open.stream, self.streams.len());
        self.streams.push(StreamRoot {
            stream: open.stream,
            leaf: index,
            predecessor: open.predecessor,
            epochs: alloc::vec::Vec::new(),
            closed: None,
            last_checkpoint: None,
            claims: alloc::vec::Vec::new(),
        });
        Ok(())
    }

    fn open_epoch(&mut self, epoch: EpochRoot) -> Result<(), Finding> {
        self.live_stream(&epoch.start.stream)?.open_epoch(epoch)
    }

    /// The stream, if it was opened and not closed.
    fn live_stream(&mut self, stream: &StreamId) -> Result<&mut StreamRoot, Finding> {
        let stream = self.stream_mut(stream).ok_or((Code::RootRule, "the stream was never opened"))?;
        ensure(stream.closed.is_none(), (Code::RootRule, "the stream was closed before"))?;
        Ok(stream)
    }

    fn name<T>(&self, of: impl Fn(&Deployment) -> T) -> Option<T> {
        self.deployment.as_ref().map(of)
    }
}

impl StreamRoot {
    fn open_epoch(&mut self, epoch: EpochRoot) -> Result<(), Finding> {
        let start = &epoch.start;
        same_number(Code::RootRule, "the epoch", u64::from(self.last_epoch()) + 1, u64::from(start.epoch))?;
        let fact = "an epoch starts as the first of its stream exactly when it is";
        ensure((start.start == Start::First) == (start.epoch == 1), (Code::RootRule, fact))?;
        let (size, root, seal_hash) = self.left_by_last_epoch()?;
        same_number(Code::RootRule, "the epoch's first index", size, start.first)?;
        same_hash(Code::RootRule, "the root that the epoch continues", &root, &start.root)?;
        same_hash(Code::RootRule, "the last seal that the epoch continues", &seal_hash, &start.seal_hash)?;
        // The closing before says the same; section 14 lists both.
        self.claim(Claim::of_size(&size_of(start), Some(start.seal_hash)));
        self.epochs.push(epoch);
        Ok(())
    }

    /// Size, root and last seal hash at the last epoch's closing.
    fn left_by_last_epoch(&self) -> Result<(u64, Hash, Hash), Finding> {
        let Some(last) = self.epochs.last() else { return Ok((0, empty_root(), NO_SEAL)) };
        let close = last.close.as_ref().ok_or((Code::RootRule, "the epoch before was not closed"))?;
        Ok((close.at.size, close.at.root, close.seal_hash))
    }

    fn close_epoch(&mut self, close: &EpochClose) -> Result<(), Finding> {
        let last_epoch = self.last_epoch();
        let last = self.epochs.last_mut().ok_or((Code::RootRule, "the stream has no epoch"))?;
        same_number(Code::RootRule, "the epoch to close", u64::from(last_epoch), u64::from(close.epoch))?;
        ensure(last.close.is_none(), (Code::RootRule, "the epoch was closed before"))?;
        ensure(close.at.size >= last.start.first, (Code::RootRule, "the epoch ends before its first index"))?;
        last.close = Some(*close);
        self.claim(Claim::of_size(&close.at, Some(close.seal_hash)));
        Ok(())
    }

    fn close(&mut self, at: &StreamSize) -> Result<(), Finding> {
        let (size, root, _) = self.left_by_last_epoch()?;
        same_number(Code::RootRule, "the closed stream's size", size, at.size)?;
        same_hash(Code::RootRule, "the closed stream's root", &root, &at.root)?;
        self.closed = Some(*at);
        self.claim(Claim::of_size(at, None));
        Ok(())
    }

    fn checkpoint(&mut self, at: &StreamSize, index: u64) -> Result<(), Finding> {
        if let Some((_, before)) = &self.last_checkpoint {
            ensure(at.size >= before.size, (Code::RootRule, "a stream-checkpoint falls below the one before"))?;
            let same = at.size > before.size || at.root == before.root;
            ensure(same, (Code::RootRule, "two stream-checkpoints of one size differ"))?;
        }
        self.last_checkpoint = Some((index, *at));
        self.claim(Claim::of_size(at, None));
        Ok(())
    }
}

fn size_of(start: &EpochStart) -> StreamSize {
    StreamSize { stream: start.stream, size: start.first, root: start.root }
}

/// The key that a leaf registers, if its op has one.
fn new_key_of(op: &RootOp) -> Result<Option<PublicKey>, Finding> {
    match op {
        RootOp::Register { key, .. } => registrable(key).map(Some),
        RootOp::EpochOpen(start) => registrable(&start.key).map(Some),
        _ => Ok(None),
    }
}

fn registrable(key: &[u8; PUBLIC_KEY_LEN]) -> Result<PublicKey, Finding> {
    PublicKey::from_bytes33(key).map_err(|error| match error {
        KeyError::UnknownAlgorithm { .. } => {
            (Code::UnknownVersion, "the algorithm of a registered key is unknown").into()
        }
        KeyError::SmallOrder => (Code::WeakKey, "the registered key has small order").into(),
        _ => (Code::WeakKey, "the registered key does not decode").into(),
    })
}
