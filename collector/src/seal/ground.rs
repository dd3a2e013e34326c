//! The data directory taken into possession: lock, root log, name, keys.
//!
//! Keys are durable before the genesis leaf that names them, and the name before both; each step finds what an earlier
//! attempt left, so a crash anywhere in here is followed by the same steps.

use std::sync::Arc;

use spanseal_ledger::checkpoint::{CheckpointKeys, NoteKeys, VerifiedCheckpoint, verify_checkpoint};
use spanseal_ledger::root_leaf::RoleSigners;
use spanseal_ledger::tree::Frontier;
use spanseal_ledger::verify::{Fault, RootState, RootVerifier};
use spanseal_ledger::{Deployment, Role};
use spanseal_log::{
    DataDir, Durability, Item, Lock, Options, Owner, Reader, Recovered, Storage, Writer, files, read_file, recover,
};

use super::keys::Keys;
use super::moment::Moment;
use super::past::warn_of_torn;
use super::root::RootLog;
use super::start::StartError;
use crate::text::hex;

/// The data directory, open for writing.
pub(crate) struct Ground {
    pub(crate) dir: DataDir,
    /// Keeps other writers out.
    pub(crate) lock: Lock,
    pub(crate) keys: Arc<Keys>,
    pub(crate) root: RootLog,
    /// What the root log said before this start.
    pub(crate) state: RootState,
}

impl Ground {
    /// Takes the data directory, which is made when there is none.
    ///
    /// # Errors
    /// When another process has it, it belongs to another deployment, or its root log or keys cannot be used.
    pub(crate) fn take(
        storage: Arc<dyn Storage>,
        path: &std::path::Path,
        (name, dev): (Option<&str>, bool),
        now: &Moment,
    ) -> Result<Self, StartError> {
        let (dir, lock) = DataDir::open_to_write(storage, path)?;
        if dir.is_open_to_others()? {
            tracing::warn!(
                dir = %dir.root().display(),
                "the data directory can be entered by others: run chmod 700 on it, unless they are meant to read spans"
            );
        }
        let (recovered, state) = read_root(&dir)?;
        let deployment = settle_name(&dir, &state, name)?;
        let is_new = state.size() == 0;
        match dir.is_dev()? {
            false if dev && !is_new => return Err(StartError::NotDev),
            true if !dev => return Err(StartError::Dev),
            _ => {}
        }
        let keys = Arc::new(Keys::open(&dir, deployment, is_new, dev)?);
        check_keys(&keys, &state)?;
        check_note(&dir, &keys, &state)?;
        let writer =
            Writer::open_with(dir.shared_storage(), &dir.log(&Owner::RootLog), Owner::RootLog, recovered.start, SIZES)?;
        let mut root = RootLog::new(dir.clone(), writer, keys.clone());
        if state.size() == 0 {
            write_genesis(&mut root, &keys, now)?;
        }
        write_trust(&dir, &keys)?;
        Ok(Self { dir, lock, keys, root, state })
    }
}

/// Recovers and verifies the root log.
fn read_root(dir: &DataDir) -> Result<(Recovered, RootState), StartError> {
    let path = dir.log(&Owner::RootLog);
    // Its checkpoint is signed after the leaves are durable, but what may be trusted of it shows only with the keys. So
    // everything in the last segment is made durable again: a few leaves since the last start.
    let recovered = recover(dir.storage(), &path, &Owner::RootLog, 0).map_err(StartError::RootUnreadable)?;
    warn_of_torn(&Owner::RootLog, &recovered);
    let mut verifier = RootVerifier::new(None);
    let mut reader = Reader::open(dir.shared_storage(), &path, Owner::RootLog, 0)?;
    while let Some(item) = reader.read_next()? {
        match item {
            Item::RootLeaf { bytes, .. } => verifier.push(bytes).map_err(root_fault)?,
            Item::SegmentStart(_) | Item::Torn { .. } => {}
            Item::Damaged { what, .. } => return Err(StartError::RootDamaged(what)),
            _ => return Err(StartError::RootForked),
        }
    }
    Ok((recovered, verifier.finish(None)))
}

fn root_fault(fault: Fault) -> StartError {
    StartError::RootTampered(Box::new(fault))
}

/// Returns the deployment's name: what the root log says, else what the directory says, else what is asked for.
fn settle_name(dir: &DataDir, state: &RootState, asked: Option<&str>) -> Result<Deployment, StartError> {
    let there = match (state.deployment(), dir.read_name()) {
        (Some(deployment), _) => Some(deployment.as_str().to_owned()),
        (None, Ok(name)) => Some(name),
        (None, Err(error)) if error.kind() == std::io::ErrorKind::NotFound => None,
        (None, Err(error)) => return Err(error.into()),
    };
    if let (Some(there), Some(asked)) = (&there, asked)
        && there != asked
    {
        return Err(StartError::OtherName { there: there.clone(), asked: asked.to_owned() });
    }
    let name = there.or_else(|| asked.map(ToOwned::to_owned)).map_or_else(name_by_chance, Ok)?;
    let deployment = Deployment::new(&name)?;
    if dir.read_name().ok().as_deref() != Some(&name) {
        dir.write_name(&name)?;
    }
    Ok(deployment)
}

fn name_by_chance() -> Result<String, getrandom::Error> {
    let mut chance = [0; 6];
    getrandom::fill(&mut chance)?;
    Ok(format!("local-{}", hex(&chance)))
}

/// The keys in the directory are those that the root log has in force.
fn check_keys(keys: &Keys, state: &RootState) -> Result<(), StartError> {
    for role in Role::ALL {
        if state.key_in_force(role).is_some_and(|key| *key != keys.public(role)) {
            return Err(StartError::OtherKey { role: role.as_str() });
        }
    }
    Ok(())
}

/// The root log is what its checkpoint says. One that does not verify says nothing: it is replaced without a sync.
fn check_note(dir: &DataDir, keys: &Keys, state: &RootState) -> Result<(), StartError> {
    let origin = keys.deployment.root_origin();
    let Some(note) = read_note(dir, &Owner::RootLog, origin, Role::Sequencer, keys) else { return Ok(()) };
    if note.size() > state.size() {
        return Err(StartError::RootShort { size: state.size(), checkpoint: note.size() });
    }
    let mut tree = Frontier::new();
    state.leaf_hashes().iter().take(note.size() as usize).for_each(|leaf| tree.push(*leaf));
    if tree.root() == *note.root() { Ok(()) } else { Err(StartError::RootReplaced { checkpoint: note.size() }) }
}

/// Returns a log's checkpoint, if there is one that verifies under this deployment's keys.
pub(crate) fn read_note(
    dir: &DataDir,
    owner: &Owner,
    origin: String,
    signer: Role,
    keys: &Keys,
) -> Option<VerifiedCheckpoint> {
    let note = dir.read_checkpoint(owner).ok().flatten()?;
    let keys = CheckpointKeys {
        log: NoteKeys::one(keys.public(signer)),
        cosigner_name: keys.deployment.role_name(Role::Cosign),
        cosigner: NoteKeys::one(keys.public(Role::Cosign)),
        origin,
    };
    match verify_checkpoint(&note, &keys) {
        Ok(note) => Some(note),
        Err(error) => {
            tracing::warn!(origin = keys.origin, %error, "a checkpoint is not used; a power cut may have broken it");
            None
        }
    }
}

fn write_genesis(root: &mut RootLog, keys: &Keys, now: &Moment) -> Result<(), StartError> {
    let leaf = root.submission(now).genesis(&RoleSigners {
        identity: &*keys.identity,
        checkpoint: &keys.checkpoint,
        cosign: &keys.cosign,
        sequencer: &keys.sequencer,
    });
    root.append(&[leaf], now)?;
    Ok(())
}

/// Writes the trust file beside the log at the first start, for the operator to keep elsewhere.
fn write_trust(dir: &DataDir, keys: &Keys) -> Result<(), StartError> {
    let path = dir.root().join("trust");
    if read_file(dir.storage(), &path, TRUST_BYTES_MAX).is_ok_and(|text| !text.is_empty()) {
        return Ok(());
    }
    files::replace(dir.storage(), &path, keys.trust().to_string().as_bytes(), Durability::Synced)?;
    tracing::info!(
        file = %path.display(),
        "wrote the trust file: keep a copy elsewhere, or whoever can write this directory can replace the whole log"
    );
    Ok(())
}

/// Root leaves are few and small.
pub(super) const SIZES: Options = Options { segment_bytes_max: 64 * 1024 * 1024, group_bytes_max: 64 * 1024 };
const TRUST_BYTES_MAX: usize = 1024 * 1024;
