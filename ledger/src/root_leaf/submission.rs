//! Writing root leaves: one function an op, so that none is signed by the wrong key or lacks a signature.

use alloc::vec::Vec;

use super::{CloseHow, EpochClose, Genesis, RootOp, StreamOpen, StreamSize, sign};
use crate::epoch::EpochStart;
use crate::id::{Deployment, Role};
use crate::key::{KeyId, Signer};

/// A root leaf about to be written: for which deployment, and when (nanoseconds since the Unix epoch).
///
/// The leaf comes first: it is durable in the root log before the opening event that quotes it is written.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The deployment.
    pub deployment: &'a Deployment,
    /// Wall time in nanoseconds since the Unix epoch.
    pub time: u64,
}

/// One signer a role.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds signers")]
pub struct RoleSigners<'a> {
    /// Signs root leaves and openings.
    pub identity: &'a dyn Signer,
    /// Signs stream checkpoints.
    pub checkpoint: &'a dyn Signer,
    /// Cosigns checkpoints with a time.
    pub cosign: &'a dyn Signer,
    /// Signs root log checkpoints.
    pub sequencer: &'a dyn Signer,
}

/// Who signs the end of an epoch.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "holds signers")]
pub enum ClosedBy<'a> {
    /// The epoch's own key, before it is wiped.
    EpochKey(&'a dyn Signer),
    /// The identity key, after an unclean stop.
    Identity(&'a dyn Signer),
}

impl Submission<'_> {
    /// Leaf 0: the deployment and its first keys. Signed by all four.
    pub fn genesis(&self, signers: &RoleSigners<'_>) -> Vec<u8> {
        let RoleSigners { identity, checkpoint, cosign, sequencer } = signers;
        let keys = [identity, checkpoint, cosign, sequencer].map(|signer| signer.public().to_bytes33());
        let op = RootOp::Genesis(Genesis { deployment: self.deployment.clone(), keys });
        self.by_identity(&op, *identity, &[*checkpoint, *cosign, *sequencer])
    }

    /// A new key takes over a role from the next leaf on. Signed by the identity key in force and the new key.
    pub fn register(&self, identity: &dyn Signer, role: Role, new: &dyn Signer) -> Vec<u8> {
        let op = RootOp::Register { role, key: new.public().to_bytes33() };
        self.by_identity(&op, identity, &[new])
    }

    /// A key ends with this leaf. Its id is the one under its role's name.
    pub fn revoke(&self, identity: &dyn Signer, key: KeyId) -> Vec<u8> {
        self.by_identity(&RootOp::Revoke { key }, identity, &[])
    }

    /// A stream begins.
    pub fn open_stream(&self, identity: &dyn Signer, open: StreamOpen) -> Vec<u8> {
        self.by_identity(&RootOp::StreamOpen(open), identity, &[])
    }

    /// An epoch begins. Signed by the identity key, the epoch's key and, for a rotation, the outgoing epoch key.
    pub fn open_epoch(
        &self,
        identity: &dyn Signer,
        epoch: EpochStart,
        epoch_key: &dyn Signer,
        outgoing: Option<&dyn Signer>,
    ) -> Vec<u8> {
        let op = RootOp::EpochOpen(epoch);
        match outgoing {
            Some(outgoing) => self.by_identity(&op, identity, &[epoch_key, outgoing]),
            None => self.by_identity(&op, identity, &[epoch_key]),
        }
    }

    /// An epoch ends.
    pub fn close_epoch(&self, by: ClosedBy<'_>, epoch: u32, at: StreamSize, seal_hash: crate::Hash) -> Vec<u8> {
        let close = |how| RootOp::EpochClose(EpochClose { how, at, epoch, seal_hash });
        match by {
            ClosedBy::Identity(identity) => self.by_identity(&close(CloseHow::ByIdentity), identity, &[]),
            ClosedBy::EpochKey(key) => {
                let id = key.public().id(&self.deployment.epoch_name(&at.stream, epoch));
                sign(&close(CloseHow::ByEpochKey), self.time, (id, key), &[])
            }
        }
    }

    /// A stream ends for good.
    pub fn close_stream(&self, identity: &dyn Signer, at: StreamSize) -> Vec<u8> {
        self.by_identity(&RootOp::StreamClose(at), identity, &[])
    }

    /// A stream's head, signed by the checkpoint key.
    pub fn checkpoint_stream(&self, checkpoint: &dyn Signer, at: StreamSize) -> Vec<u8> {
        let id = checkpoint.public().id(&self.deployment.role_name(Role::Checkpoint));
        sign(&RootOp::StreamCheckpoint(at), self.time, (id, checkpoint), &[])
    }

    fn by_identity(&self, op: &RootOp, identity: &dyn Signer, more: &[&dyn Signer]) -> Vec<u8> {
        let id = identity.public().id(&self.deployment.role_name(Role::Identity));
        sign(op, self.time, (id, identity), more)
    }
}
