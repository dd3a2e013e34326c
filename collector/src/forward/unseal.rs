//! Puts what was cut out of a message back into it, or a note in its place.

use std::io;
use std::path::Path;

use bytes::Bytes;
use spanseal_log::{Place, RecordKind, Storage, read_record_at};
use spanseal_schemas::abridge::abridge;
use spanseal_schemas::cut;
use spanseal_schemas::event::Cut;
use tracing::warn;

use crate::seal::payloads::{PayloadRecord, split_pieces};
use crate::seal::subjects::{SubjectFile, SubjectKey};

/// How one backend gets what was cut.
pub(super) struct Unseal {
    /// Finds a subject's key; `None`: nothing is put back.
    keys: Option<FindKey>,
    event_url: Option<String>,
}

/// Finds the key of a subject, unless it was destroyed.
pub(super) type FindKey = Box<dyn FnMut(&[u8; 16]) -> Option<SubjectKey> + Send>;

/// A message as it is sealed.
pub(super) struct Stored<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) cuts: &'a [Cut],
    /// Where its payload records are, in order; `None` when one is not there any more.
    pub(super) payloads: Option<&'a [Place]>,
}

/// A message that decodes.
#[derive(Debug)]
pub(super) struct Readable {
    pub(super) whole: Bytes,
    /// With notes instead of what was put back, when anything was.
    pub(super) abridged: Option<Bytes>,
    /// Under whose keys that was.
    pub(super) restored: Vec<[u8; 16]>,
}

impl Unseal {
    pub(super) fn new(keys: Option<FindKey>, event_url: Option<String>) -> Self {
        Self { keys, event_url }
    }

    pub(super) fn event_url(&self) -> Option<&str> {
        self.event_url.as_deref()
    }

    /// Returns the message; `None` when its cuts do not fit it.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub(super) fn read(
        &mut self,
        storage: &dyn Storage,
        dir: &Path,
        stored: &Stored<'_>,
    ) -> io::Result<Option<Readable>> {
        if stored.cuts.is_empty() {
            let whole = Bytes::copy_from_slice(stored.bytes);
            return Ok(Some(Readable { whole, abridged: None, restored: Vec::new() }));
        }
        let Ok(abridged) = abridge(stored.bytes, stored.cuts, &note) else { return Ok(None) };
        let abridged = Bytes::from(abridged);
        let readable = match self.restored(storage, dir, stored)? {
            Some((whole, restored)) => Readable { whole: whole.into(), abridged: Some(abridged), restored },
            None => Readable { whole: abridged, abridged: None, restored: Vec::new() },
        };
        Ok(Some(readable))
    }

    /// Says whether a subject's key is still there.
    pub(super) fn has_key(&mut self, subject: &[u8; 16]) -> bool {
        self.keys.as_mut().is_some_and(|keys| keys(subject).is_some())
    }

    /// Returns the message as received, and whose keys that took; `None` when that is not wanted, or not possible any more.
    fn restored(&mut self, storage: &dyn Storage, dir: &Path, stored: &Stored<'_>) -> io::Result<Option<Restored>> {
        let (Some(keys), Some(places)) = (&mut self.keys, stored.payloads) else { return Ok(None) };
        let (mut pieces, mut subjects) = (Vec::new(), Vec::new());
        for place in places {
            let record = read_record_at(storage, dir, *place)?.filter(|record| record.kind == RecordKind::Payload);
            let Some(record) = record else { return Ok(None) };
            let Ok(payload) = PayloadRecord::parse(&record.body) else { return Ok(None) };
            let Some(key) = keys(payload.subject) else { return Ok(None) };
            if let Err(error) = payload.decrypt(&key, &mut pieces) {
                warn!(?place, %error, "a payload cannot be put back");
                return Ok(None);
            }
            if !subjects.contains(payload.subject) {
                subjects.push(*payload.subject);
            }
        }
        let pieces = split_pieces(&pieces).ok();
        let whole = pieces.and_then(|pieces| cut::restore(stored.bytes, stored.cuts, &pieces).ok());
        Ok(whole.map(|whole| (whole, subjects)))
    }
}

/// A message, and the subjects under whose keys parts of it were.
type Restored = (Vec<u8>, Vec<[u8; 16]>);

/// Returns what finds keys in the data directory; a file that is not there yet is looked for again.
pub(super) fn keys_in(path: std::path::PathBuf) -> FindKey {
    let mut file: Option<SubjectFile> = None;
    Box::new(move |id| {
        if file.is_none() {
            file = SubjectFile::open_reader(&path).ok();
        }
        match file.as_ref()?.find(id) {
            Ok(key) => key,
            Err(error) => {
                warn!(%error, "a payload is not put back");
                None
            }
        }
    })
}

fn note(cut: &Cut) -> String {
    format!("[cut {} bytes]", cut.length)
}
