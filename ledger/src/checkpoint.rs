//! Checkpoints: a log's size and root as a signed note with a timestamped cosignature (C2SP tlog-checkpoint and
//! tlog-cosignature v1; format.md section 9).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::id::{Deployment, Role};
use crate::key::{COSIGNATURE, ED25519, PublicKey, Signer, key_id};
use crate::leaf::Hash;
use crate::note::{Note, NoteError, NoteSignature};
use crate::text::{base64, read_base64, read_decimal};
use crate::verify::Code;

/// What a checkpoint says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: [`Deployment::stream_origin`] or [`Deployment::root_origin`].
    pub origin: String,
    /// Number of its leaves.
    pub size: u64,
    /// Root of its tree at that size.
    pub root: Hash,
}

impl Checkpoint {
    /// Writes the signed text: `<origin>\n<size>\n<base64 root>\n`.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, base64(&self.root))
    }

    /// Reads the signed text, which has exactly three lines.
    ///
    /// # Errors
    /// When it is anything else than what [`Checkpoint::text`] writes.
    pub fn parse(text: &str) -> Result<Checkpoint, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Text)?.split('\n');
        let mut line = || lines.next().ok_or(CheckpointError::Text);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = read_decimal(size).ok_or(CheckpointError::Text)?;
        let root = read_base64(root).and_then(|root| root.try_into().ok()).ok_or(CheckpointError::Text)?;
        if origin.is_empty() || lines.next().is_some() {
            return Err(CheckpointError::Text);
        }
        Ok(Checkpoint { origin: origin.to_string(), size, root })
    }
}

/// Signs a checkpoint and cosigns it with a time in seconds. Only durable batches may be covered.
pub fn sign_checkpoint(
    deployment: &Deployment,
    checkpoint: &Checkpoint,
    (log, cosigner): (&dyn Signer, &dyn Signer),
    time_seconds: u64,
) -> String {
    let text = checkpoint.text();
    let log_id = key_id(&checkpoint.origin, ED25519, log.public().as_bytes());
    let log_line = signature_line(&checkpoint.origin, &[&log_id.note_id(), &log.sign(text.as_bytes())]);

    let cosigner_name = deployment.role_name(Role::Cosign);
    let cosigner_id = key_id(&cosigner_name, COSIGNATURE, cosigner.public().as_bytes());
    let cosignature = cosigner.sign(cosigned(&text, time_seconds).as_bytes());
    let cosigner_line =
        signature_line(&cosigner_name, &[&cosigner_id.note_id(), &time_seconds.to_be_bytes(), &cosignature]);
    format!("{text}\n{log_line}{cosigner_line}")
}

fn signature_line(name: &str, parts: &[&[u8]]) -> String {
    format!("\u{2014} {name} {}\n", base64(&parts.concat()))
}

/// Returns what a cosignature signs (C2SP tlog-cosignature v1, "Format of the signed message").
fn cosigned(text: &str, time_seconds: u64) -> String {
    format!("cosignature/v1\ntime {time_seconds}\n{text}")
}

/// A checkpoint whose log signature and cosignature have verified. There is no other way to get one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    time_seconds: u64,
}

impl VerifiedCheckpoint {
    /// Which log it speaks of.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// Number of the log's leaves.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// Root of the log's tree at that size.
    pub fn root(&self) -> &Hash {
        &self.checkpoint.root
    }

    /// The cosignature's time, in seconds since the Unix epoch.
    pub fn time_seconds(&self) -> u64 {
        self.time_seconds
    }
}

/// The keys that a checkpoint may be signed by.
#[derive(Clone, Debug)]
pub struct CheckpointKeys {
    /// The origin expected, which is also the name of the log's key.
    pub origin: String,
    /// The log's keys.
    pub log: NoteKeys,
    /// The cosigner's name.
    pub cosigner_name: String,
    /// The cosigner's keys.
    pub cosigner: NoteKeys,
}

/// The keys known under one name.
#[derive(Clone, Debug, Default)]
pub struct NoteKeys {
    /// Keys in range: a line by one of them is asked for.
    pub in_force: Vec<PublicKey>,
    /// Keys that were retired or revoked: a line by one of them must verify, and does not count.
    pub ended: Vec<PublicKey>,
}

impl NoteKeys {
    /// One key, in force.
    pub fn one(key: PublicKey) -> NoteKeys {
        NoteKeys { in_force: alloc::vec![key], ended: Vec::new() }
    }
}

/// Verifies a checkpoint: its origin, a line by the log's key and one by the cosigner's.
///
/// Lines by other names or key ids are ignored; a line whose name and key id are known must verify, and stands once.
///
/// # Errors
/// When the note does not parse, is of another log, lacks a signature, or a signature fails.
pub fn verify_checkpoint(note: &[u8], keys: &CheckpointKeys) -> Result<VerifiedCheckpoint, CheckpointError> {
    let note = Note::parse(note)?;
    let checkpoint = Checkpoint::parse(note.text)?;
    if checkpoint.origin != keys.origin {
        return Err(CheckpointError::Origin { got: checkpoint.origin });
    }
    let log = LinesOf { name: &keys.origin, algorithm: ED25519, keys: &keys.log };
    let log = log.verify(&note, &|line, key| {
        let signature = line.signature.as_slice().try_into().ok()?;
        key.verify(note.text.as_bytes(), signature).ok().map(|()| 0)
    });
    let cosigner = LinesOf { name: &keys.cosigner_name, algorithm: COSIGNATURE, keys: &keys.cosigner };
    let cosigner = cosigner.verify(&note, &|line, key| verify_cosignature(line, key, note.text));
    let time_seconds = match (log, cosigner) {
        // A signature that fails or is missing weighs more than one by a key that has ended.
        (Err(CheckpointError::Ended { .. }), Err(error)) | (Err(error), _) | (_, Err(error)) => return Err(error),
        (Ok(_), Ok(time_seconds)) => time_seconds,
    };
    Ok(VerifiedCheckpoint { checkpoint, time_seconds })
}

fn verify_cosignature(line: &NoteSignature<'_>, key: &PublicKey, text: &str) -> Option<u64> {
    let (time, signature) = line.signature.split_first_chunk::<8>()?;
    let time_seconds = u64::from_be_bytes(*time);
    let message = cosigned(text, time_seconds);
    key.verify(message.as_bytes(), signature.try_into().ok()?).ok().map(|()| time_seconds)
}

/// The lines of a note that one name and algorithm byte account for.
struct LinesOf<'a> {
    name: &'a str,
    algorithm: u8,
    keys: &'a NoteKeys,
}

impl LinesOf<'_> {
    /// Verifies every line by a known key and returns what the check gave for the one in force.
    fn verify(
        &self,
        note: &Note<'_>,
        check: &dyn Fn(&NoteSignature<'_>, &PublicKey) -> Option<u64>,
    ) -> Result<u64, CheckpointError> {
        let in_force = self.lines(note, &self.keys.in_force, check)?;
        let ended = self.lines(note, &self.keys.ended, check)?;
        match (in_force, ended) {
            (Some(time_seconds), _) => Ok(time_seconds),
            (None, Some(_)) => Err(CheckpointError::Ended { name: self.name.to_string() }),
            (None, None) => Err(CheckpointError::Unsigned { name: self.name.to_string() }),
        }
    }

    fn lines(
        &self,
        note: &Note<'_>,
        keys: &[PublicKey],
        check: &dyn Fn(&NoteSignature<'_>, &PublicKey) -> Option<u64>,
    ) -> Result<Option<u64>, CheckpointError> {
        let refused = || CheckpointError::Signature { name: self.name.to_string() };
        let mut found = None;
        for key in keys {
            let id = key_id(self.name, self.algorithm, key.as_bytes()).note_id();
            let mut lines = note.signatures.iter().filter(|line| line.name == self.name && line.key_id == id);
            let Some(line) = lines.next() else { continue };
            if lines.next().is_some() {
                return Err(refused());
            }
            found = Some(check(line, key).ok_or_else(refused)?);
        }
        Ok(found)
    }
}

/// A checkpoint is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The note does not parse.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not origin, size and root.
    #[error("the checkpoint is not three lines of origin, size and root")]
    Text,
    /// The checkpoint is another log's.
    #[error("the checkpoint is of {got}")]
    Origin {
        /// The origin found.
        got: String,
    },
    /// No line by a key of this name.
    #[error("the checkpoint is not signed by a known key of {name}")]
    Unsigned {
        /// The name.
        name: String,
    },
    /// A line by a known key does not verify, or stands twice.
    #[error("the checkpoint's signature by {name} does not verify")]
    Signature {
        /// The name.
        name: String,
    },
    /// Signed only by keys that were retired or revoked.
    #[error("the checkpoint is signed by a key of {name} that was retired or revoked")]
    Ended {
        /// The name.
        name: String,
    },
}

impl CheckpointError {
    /// The code of format.md section 14, for a note that should be of `deployment`.
    pub fn code(&self, deployment: &Deployment) -> Code {
        let is_of_deployment =
            |origin: &str| origin.strip_prefix(deployment.as_str()).is_some_and(|rest| rest.starts_with('/'));
        match self {
            CheckpointError::Origin { got } if !is_of_deployment(got) => Code::WrongDeployment,
            CheckpointError::Ended { .. } => Code::RetiredKey,
            _ => Code::CheckpointRefused,
        }
    }
}
