//! The deployment's keys, as files of the data directory.

use spanseal_ledger::key::{PublicKey, SecretKey, Signer};
use spanseal_ledger::trust::{RoleKeys, Trust};
use spanseal_ledger::{Deployment, Role};
use std::sync::Arc;

use spanseal_authority::key::SigningKey;
use spanseal_log::{DataDir, KeyBytes, KeyFile, KeyFileError, load_key, load_or_create_key};

/// Everything that signs but epochs, and the key of the fingerprints.
pub(crate) struct Keys {
    pub(crate) deployment: Deployment,
    /// A file today; a KMS or HSM is another `Signer`.
    pub(crate) identity: Box<dyn Signer + Send + Sync>,
    pub(crate) checkpoint: SecretKey,
    pub(crate) cosign: SecretKey,
    pub(crate) sequencer: SecretKey,
    pub(crate) dedup: KeyBytes,
    /// Signs enrolment receipts.
    pub(crate) enrolment: Arc<SigningKey>,
    /// Approves whatever is asked, in a development set-up.
    pub(crate) dev_approver: Option<Arc<SigningKey>>,
}

impl Keys {
    /// Reads the keys. Those of a deployment that has no root log yet are made; all are durable when this returns.
    ///
    /// # Errors
    /// When a file is missing, can be read by others, or is no key.
    pub(crate) fn open(dir: &DataDir, deployment: Deployment, is_new: bool, dev: bool) -> Result<Self, KeyFileError> {
        let signer = |file| {
            let path = dir.key(file);
            let key = if is_new { load_or_create_key(dir.storage(), &path) } else { load_key(dir.storage(), &path) };
            key.map(|mut seed| SecretKey::from_seed(&mut seed))
        };
        Ok(Self {
            deployment,
            identity: Box::new(signer(KeyFile::Identity)?),
            checkpoint: signer(KeyFile::Checkpoint)?,
            cosign: signer(KeyFile::Cosign)?,
            sequencer: signer(KeyFile::Sequencer)?,
            // Nothing is signed by it: a new one only forgets which spans were seen.
            dedup: load_or_create_key(dir.storage(), &dir.key(KeyFile::Dedup))?,
            // Receipts hold for an hour: with a new one, agents enrol again.
            enrolment: Arc::new(SigningKey::from_seed(&*load_or_create_key(
                dir.storage(),
                &dir.key(KeyFile::Enrolment),
            )?)),
            dev_approver: dev
                .then(|| load_or_create_key(dir.storage(), &dir.key(KeyFile::DevApprover)))
                .transpose()?
                .map(|seed| Arc::new(SigningKey::from_seed(&seed))),
        })
    }

    /// Returns the public key of a role.
    pub(crate) fn public(&self, role: Role) -> PublicKey {
        match role {
            Role::Identity => self.identity.public(),
            Role::Checkpoint => self.checkpoint.public(),
            Role::Cosign => self.cosign.public(),
            Role::Sequencer => self.sequencer.public(),
        }
    }

    /// Returns what a verifier must know to trust this deployment: its keys, and no pin yet.
    pub(crate) fn trust(&self) -> Trust {
        let [identity, checkpoint, cosign, sequencer] = Role::ALL.map(|role| self.public(role));
        Trust {
            deployment: self.deployment.clone(),
            keys: RoleKeys { identity, checkpoint, cosign, sequencer },
            root_pin: None,
            pins: std::collections::BTreeMap::new(),
        }
    }
}
