//! Which keys may sign which note (format.md section 9), and what is wrong with one that is refused.

use alloc::vec;

use super::faults::Finding;
use super::root_state::RootState;
use super::{Code, Detail, Fault};
use crate::checkpoint::{Checkpoint, CheckpointError, CheckpointKeys, NoteKeys, VerifiedCheckpoint, verify_checkpoint};
use crate::id::{Deployment, Role, StreamId};
use crate::note::Note;
use crate::trust::Trust;

/// Verifies the root log's note, or its pin: its keys are in range at the leaf that its size names.
pub(super) fn verify_root_note(
    note: &[u8],
    root: &RootState,
    trust: Option<&Trust>,
) -> Result<VerifiedCheckpoint, Finding> {
    let deployment = trust.map(|trust| &trust.deployment).or(root.deployment()).ok_or(Code::CheckpointRefused)?;
    let keys_at = |role, size| match trust {
        Some(trust) if !vouched(root, trust) => (NoteKeys::one(*trust.keys.of(role)), vec![]),
        _ => root.ring.for_root_note(role, size),
    };
    let size = claimed_size(note)?;
    let (log, log_early) = keys_at(Role::Sequencer, size);
    let (cosigner, cosigner_early) = keys_at(Role::Cosign, size);
    let mut keys = CheckpointKeys {
        origin: deployment.root_origin(),
        log,
        cosigner_name: deployment.role_name(Role::Cosign),
        cosigner,
    };
    match verify_checkpoint(note, &keys) {
        Ok(checkpoint) => Ok(checkpoint),
        Err(error) => {
            keys.log.in_force.extend(log_early);
            keys.cosigner.in_force.extend(cosigner_early);
            let early = verify_checkpoint(note, &keys).is_ok();
            Err(if early { Code::EarlyKey.into() } else { refusal(error, deployment) })
        }
    }
}

/// Verifies a stream's note: its keys hold after the stream's last stream-checkpoint leaf.
pub(super) fn verify_stream_note(
    note: &[u8],
    stream: &StreamId,
    root: &RootState,
) -> Result<VerifiedCheckpoint, Finding> {
    let deployment = root.deployment().ok_or(Code::CheckpointRefused)?;
    let opened = root.stream(stream).map_or(0, |stream| stream.last_checkpoint.map_or(stream.leaf, |(leaf, _)| leaf));
    let keys = CheckpointKeys {
        origin: deployment.stream_origin(stream),
        log: root.ring.for_note_after(Role::Checkpoint, opened),
        cosigner_name: deployment.role_name(Role::Cosign),
        cosigner: root.ring.for_note_after(Role::Cosign, opened),
    };
    verify_checkpoint(note, &keys).map_err(|error| refusal(error, deployment))
}

/// Verifies a stream's pin: any key that was ever registered, since it was verified when it was made.
pub(super) fn verify_pin(
    note: &str,
    stream: &StreamId,
    root: &RootState,
    trust: &Trust,
) -> Result<VerifiedCheckpoint, Fault> {
    let keys_of = |role| match vouched(root, trust) {
        true => root.ring.for_pin(role),
        false => NoteKeys::one(*trust.keys.of(role)),
    };
    let keys = CheckpointKeys {
        origin: trust.deployment.stream_origin(stream),
        log: keys_of(Role::Checkpoint),
        cosigner_name: trust.deployment.role_name(Role::Cosign),
        cosigner: keys_of(Role::Cosign),
    };
    verify_checkpoint(note.as_bytes(), &keys).map_err(|error| refusal(error, &trust.deployment).at(Some(*stream), None))
}

/// Whether the root log begins with the trust file's deployment and keys, so that they vouch for those it registers later.
fn vouched(root: &RootState, trust: &Trust) -> bool {
    let name = &trust.deployment;
    let same_key = |role: Role| root.ring.find(role, &trust.keys.of(role).id(&name.role_name(role))).is_some();
    root.deployment() == Some(name) && Role::ALL.into_iter().all(same_key)
}

fn claimed_size(note: &[u8]) -> Result<u64, Finding> {
    let checkpoint = Note::parse(note).map_err(CheckpointError::from).and_then(|note| Checkpoint::parse(note.text));
    checkpoint
        .map(|checkpoint| checkpoint.size)
        .map_err(|error| (Code::CheckpointRefused, Detail::Checkpoint(error)).into())
}

fn refusal(error: CheckpointError, deployment: &Deployment) -> Finding {
    (error.code(deployment), Detail::Checkpoint(error)).into()
}
