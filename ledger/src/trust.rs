//! The trust file: a deployment's first keys and earlier checkpoints, kept elsewhere (format.md section 13).

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;

use crate::id::{Deployment, IdError, Role, StreamId};
use crate::key::{KeyError, PublicKey};

/// The four long-lived keys of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleKeys {
    /// Signs root leaves and openings.
    pub identity: PublicKey,
    /// Signs stream checkpoints.
    pub checkpoint: PublicKey,
    /// Cosigns checkpoints with a time.
    pub cosign: PublicKey,
    /// Signs root log checkpoints.
    pub sequencer: PublicKey,
}

impl RoleKeys {
    /// The key of a role.
    pub fn of(&self, role: Role) -> &PublicKey {
        match role {
            Role::Identity => &self.identity,
            Role::Checkpoint => &self.checkpoint,
            Role::Cosign => &self.cosign,
            Role::Sequencer => &self.sequencer,
        }
    }
}

/// What a verifier knows beforehand. Whoever can write this file decides what verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The deployment.
    pub deployment: Deployment,
    /// The keys of its genesis leaf; later ones are learnt from the root log that these vouch for.
    pub keys: RoleKeys,
    /// A checkpoint note of the root log.
    pub root_pin: Option<String>,
    /// Checkpoint notes of streams.
    pub pins: BTreeMap<StreamId, String>,
}

impl Trust {
    /// Reads a trust file. The pins' signatures are verified later, by [`crate::verify::RootVerifier`].
    ///
    /// # Errors
    /// When a line has no meaning, stands twice or is missing; with its number.
    pub fn parse(text: &str) -> Result<Trust, TrustError> {
        let mut lines = text.lines();
        if lines.next() != Some(VERSION) {
            return Err(TrustError::Version);
        }
        let mut parsed = Lines::default();
        for (line, number) in lines.zip(2..) {
            parsed.take(line).map_err(|cause| TrustError::Line { number, cause })?;
        }
        parsed.into_trust()
    }
}

/// Writes the file that [`Trust::parse`] reads.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}\nname {}", self.deployment)?;
        for role in Role::ALL {
            let vkey = self.keys.of(role).vkey(&self.deployment.role_name(role));
            writeln!(f, "{} {vkey}", role.as_str())?;
        }
        let root_pin = self.root_pin.iter().map(|note| (ROOT.to_string(), note));
        let pins = self.pins.iter().map(|(stream, note)| (stream.to_string(), note));
        for (log, note) in root_pin.chain(pins) {
            writeln!(f, "pin {log}")?;
            note.lines().try_for_each(|line| writeln!(f, "|{line}"))?;
        }
        Ok(())
    }
}

const VERSION: &str = "spanseal-trust/v1";
const ROOT: &str = "root";

/// What has been read so far.
#[derive(Default)]
struct Lines {
    deployment: Option<Deployment>,
    keys: [Option<(String, PublicKey)>; 4],
    root_pin: Option<String>,
    pins: BTreeMap<StreamId, String>,
    open_pin: Option<Pin>,
}

#[derive(Clone, Copy)]
enum Pin {
    Root,
    Stream(StreamId),
}

impl Lines {
    fn take(&mut self, line: &str) -> Result<(), TrustLineError> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains(char::is_control) {
            return Err(TrustLineError::Form);
        }
        if let Some(note_line) = line.strip_prefix('|') {
            let note = self.open_note().ok_or(TrustLineError::NoPin)?;
            note.push_str(note_line);
            note.push('\n');
            return Ok(());
        }
        self.open_pin = None;
        let (word, value) = line.split_once(' ').ok_or(TrustLineError::Form)?;
        match word {
            "name" => fill(&mut self.deployment, Deployment::new(value)?),
            "pin" => self.begin_pin(value),
            _ => self.take_key(word, value),
        }
    }

    fn open_note(&mut self) -> Option<&mut String> {
        match self.open_pin? {
            Pin::Root => self.root_pin.as_mut(),
            Pin::Stream(stream) => self.pins.get_mut(&stream),
        }
    }

    fn begin_pin(&mut self, log: &str) -> Result<(), TrustLineError> {
        if log == ROOT {
            self.open_pin = Some(Pin::Root);
            return fill(&mut self.root_pin, String::new());
        }
        let stream = log.parse()?;
        self.open_pin = Some(Pin::Stream(stream));
        match self.pins.insert(stream, String::new()) {
            None => Ok(()),
            Some(_) => Err(TrustLineError::Twice),
        }
    }

    fn take_key(&mut self, word: &str, vkey: &str) -> Result<(), TrustLineError> {
        let places = Role::ALL.into_iter().zip(&mut self.keys);
        let (_, place) = places.into_iter().find(|(role, _)| role.as_str() == word).ok_or(TrustLineError::Form)?;
        let (name, key) = PublicKey::parse_vkey(vkey)?;
        fill(place, (name.to_string(), key))
    }

    fn into_trust(self) -> Result<Trust, TrustError> {
        let deployment = self.deployment.ok_or(TrustError::Missing { what: "name" })?;
        let mut keys = Role::ALL.into_iter().zip(self.keys).map(|(role, key)| {
            let (name, key) = key.ok_or(TrustError::Missing { what: role.as_str() })?;
            if name == deployment.role_name(role) { Ok(key) } else { Err(TrustError::KeyName { role: role.as_str() }) }
        });
        let mut next = || keys.next().unwrap_or(Err(TrustError::Missing { what: "key" }));
        let keys = RoleKeys { identity: next()?, checkpoint: next()?, cosign: next()?, sequencer: next()? };
        Ok(Trust { deployment, keys, root_pin: self.root_pin, pins: self.pins })
    }
}

fn fill<T>(place: &mut Option<T>, value: T) -> Result<(), TrustLineError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TrustLineError::Twice),
    }
}

/// A trust file does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The first line is not the version.
    #[error("line 1 is not '{VERSION}'")]
    Version,
    /// A line has no meaning.
    #[error("line {number}: {cause}")]
    Line {
        /// The line's number, from 1.
        number: usize,
        /// What is wrong with it.
        cause: TrustLineError,
    },
    /// A line that must stand once is missing.
    #[error("the line '{what} ...' is missing")]
    Missing {
        /// Its first word.
        what: &'static str,
    },
    /// A key's name is not that of the deployment and its role.
    #[error("the {role} key's name is not <deployment>/{role}")]
    KeyName {
        /// The role.
        role: &'static str,
    },
}

/// What is wrong with a line of a trust file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustLineError {
    /// Not one of the words that a line begins with.
    #[error("a line begins with name, identity, checkpoint, cosign, sequencer, pin, '|' or '#'")]
    Form,
    /// The same line stood before.
    #[error("the line stands twice")]
    Twice,
    /// A note's line without a pin before it.
    #[error("a line of a note without a 'pin' before it")]
    NoPin,
    /// A name or a stream id does not parse.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A key does not parse or is refused.
    #[error(transparent)]
    Key(#[from] KeyError),
}
