//! Fills the retry window from a log that is read back: the fingerprints of spans that were sealed before.

use std::collections::HashMap;

use prost::Message;
use sha2::{Digest, Sha256};
use spanseal_ledger::batch::Batch;
use spanseal_schemas::cut;
use spanseal_schemas::envelope;
use spanseal_schemas::event::{Cut, ResourceEvent, What};
use spanseal_schemas::kind;
use spanseal_schemas::scan;

use super::fingerprint::{Fingerprints, SpanIds};
use super::payloads::{PayloadRecord, split_pieces};
use super::references::Run;
use super::subjects::Subjects;
use super::window::{Fingerprint, Window};

/// Reads a stream's batches in order and remembers their spans. What cannot be read back is not remembered: at worst a
/// span that was sent again is sealed again.
pub(crate) struct Recall<'a> {
    fingerprints: &'a Fingerprints,
    subjects: &'a dyn Subjects,
    run: Run,
    shared: HashMap<u64, Known>,
    /// Payload records since the last batch, by id.
    payloads: HashMap<[u8; 32], Vec<u8>>,
}

/// A resource event, as far as spans are recognised by it.
struct Known {
    content: u128,
    tenant: String,
}

impl<'a> Recall<'a> {
    pub(crate) fn new(fingerprints: &'a Fingerprints, subjects: &'a dyn Subjects) -> Self {
        Self { fingerprints, subjects, run: Run::default(), shared: HashMap::new(), payloads: HashMap::new() }
    }

    /// Takes a payload record of the next batch.
    pub(crate) fn payload(&mut self, record: &[u8]) {
        self.payloads.insert(Sha256::digest(record).into(), record.to_vec());
    }

    /// Takes a batch that was verified.
    pub(crate) fn batch(&mut self, bytes: &[u8], window: &mut Window) {
        if let Ok(batch) = Batch::parse(bytes) {
            let seal = batch.seal();
            for (event, index) in batch.events().zip(seal.first..) {
                self.turn_to(Run::of(seal.epoch, index));
                match event.split_first() {
                    Some((&kind::RESOURCE, body)) => self.resource(index, body),
                    Some((&kind::SPAN, body)) => {
                        if let Some(print) = self.span(body) {
                            window.see(print, seal.wall);
                        }
                    }
                    _ => {}
                }
            }
        }
        self.payloads.clear();
    }

    fn turn_to(&mut self, run: Run) {
        if self.run != run {
            self.run = run;
            self.shared.clear();
        }
    }

    fn resource(&mut self, index: u64, body: &[u8]) {
        let Ok(event) = ResourceEvent::decode(body) else { return };
        let Ok(what) = What::try_from(event.what) else { return };
        let ids = event.payloads.iter().map(Vec::as_slice);
        let Some(content) = self.restored(event.content, &event.cuts, ids) else { return };
        let content = self.fingerprints.content(what, event.schema_url.as_bytes(), &content);
        self.shared.insert(index, Known { content, tenant: event.tenant });
    }

    fn span(&self, body: &[u8]) -> Option<Fingerprint> {
        let event = envelope::view(body).ok()?;
        let restored;
        let span = if event.cuts.is_empty() {
            event.span
        } else {
            let ids = event.payloads.iter().map(|id| id.as_slice());
            restored = self.restored(event.span.to_vec(), &event.cuts, ids)?;
            &restored
        };
        let facts = scan::span(span, &mut |_, _| {}).ok()?;
        let ids = SpanIds {
            tenant: &self.shared.get(&event.tenant)?.tenant,
            trace_id: facts.trace_id.try_into().ok()?,
            span_id: facts.span_id.try_into().ok()?,
        };
        let (resource, scope) = (self.shared.get(&event.resource)?, self.shared.get(&event.scope)?);
        Some(self.fingerprints.span(&ids, resource.content, scope.content, span))
    }

    /// Returns a message as it was received, unless what was cut out of it was erased.
    fn restored<'i>(&self, stored: Vec<u8>, cuts: &[Cut], ids: impl Iterator<Item = &'i [u8]>) -> Option<Vec<u8>> {
        if cuts.is_empty() {
            return Some(stored);
        }
        let mut pieces = Vec::new();
        for id in ids {
            let record = PayloadRecord::parse(self.payloads.get(id)?).ok()?;
            let key = self.subjects.find(record.subject).ok().flatten()?;
            record.decrypt(&key, &mut pieces).ok()?;
        }
        cut::restore(&stored, cuts, &split_pieces(&pieces).ok()?).ok()
    }
}
