//! Fills the retry window from a log that is read back: the fingerprints of spans that were sealed before.

use std::collections::HashMap;

use prost::Message;
use sha2::{Digest, Sha256};
use spanseal_ledger::batch::Batch;
use spanseal_schemas::envelope;
use spanseal_schemas::event::{ConflictEvent, Cut, ResourceEvent, What};
use spanseal_schemas::kind;
use spanseal_schemas::scan;

use super::fingerprint::{Fingerprints, SpanIds};
use super::payloads::restore;
use super::references::Run;
use super::subjects::Subjects;
use super::window::{Fingerprint, Seen, Window};

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
                            match window.look(print) {
                                Seen::Same => {}
                                Seen::Never => window.remember(print, index, seal.wall),
                                // Before version 1's first release conflicts were sealed as spans.
                                Seen::Other { .. } => window.remember_other(print, index, seal.wall),
                            }
                        }
                    }
                    Some((&kind::CONFLICT, body)) => {
                        // The first may lie before what is read: never is this one taken for it.
                        if let Some(print) = self.conflict(body).filter(|print| window.look(*print) != Seen::Same) {
                            window.remember_other(print, index, seal.wall);
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
        let refs = [event.resource, event.scope, event.tenant];
        if event.cuts.is_empty() {
            return self.print(event.span, refs);
        }
        let ids = event.payloads.iter().map(|id| id.as_slice());
        self.print(&self.restored(event.span.to_vec(), &event.cuts, ids)?, refs)
    }

    fn conflict(&self, body: &[u8]) -> Option<Fingerprint> {
        let ConflictEvent { span, cuts, payloads, resource, scope, tenant, .. } = ConflictEvent::decode(body).ok()?;
        let span = self.restored(span, &cuts, payloads.iter().map(Vec::as_slice))?;
        self.print(&span, [resource, scope, tenant])
    }

    /// Returns what a span is recognised by under the resource events with these indices.
    fn print(&self, span: &[u8], [resource, scope, tenant]: [u64; 3]) -> Option<Fingerprint> {
        let facts = scan::span(span, &mut |_, _| {}).ok()?;
        let ids = SpanIds {
            tenant: &self.shared.get(&tenant)?.tenant,
            trace_id: facts.trace_id.try_into().ok()?,
            span_id: facts.span_id.try_into().ok()?,
        };
        let (resource, scope) = (self.shared.get(&resource)?, self.shared.get(&scope)?);
        Some(self.fingerprints.span(&ids, resource.content, scope.content, span))
    }

    /// Returns a message as it was received, unless what was cut out of it was erased.
    fn restored<'i>(&self, stored: Vec<u8>, cuts: &[Cut], ids: impl Iterator<Item = &'i [u8]>) -> Option<Vec<u8>> {
        let record = |id: &[u8]| self.payloads.get(id).map(Vec::as_slice);
        restore(stored, cuts, ids, &record, self.subjects)
    }
}
