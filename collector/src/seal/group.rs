//! From parcels to events: the retry window, the references, the payload records, the span event itself.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use spanseal_log::RecordKind;
use spanseal_schemas::envelope::{self, SpanHead};
use spanseal_schemas::event::{Cut, Encoding, FindingEvent, ResourceEvent};
use spanseal_schemas::kind;

use super::conflicts::Conflicting;
use super::moment::Moment;
use super::nonces::Nonces;
use super::parcel::{Content, CutMessage, Extra, Parcel, ParcelSpan, Rejected, Shared};
use super::payloads;
use super::pen::Pen;
use super::references::{References, Run};
use super::stream::{Stream, StreamError};
use super::subjects::{SubjectKey, SubjectName, Subjects};
use super::window::Seen;
use crate::intake::{self, Refusal};

/// The keys of all subjects of a group.
pub(super) type SubjectKeys = HashMap<SubjectName, SubjectKey>;

impl Stream {
    /// Returns the keys of the group's subjects, durable. When there is none to be had, refuses the parcels that need one.
    pub(super) fn obtain_keys(&mut self, parcels: &mut Vec<Parcel>) -> SubjectKeys {
        let names: Vec<SubjectName> = parcels.iter().flat_map(Parcel::subjects).cloned().collect();
        if names.is_empty() {
            return SubjectKeys::new();
        }
        self.subjects.obtain(&names).unwrap_or_else(|error| {
            tracing::error!(%error, "spans with cuts are refused");
            let needing = parcels.extract_if(.., |parcel| parcel.subjects().next().is_some());
            self.refuse(needing, &Refusal::Busy { retry_after: KEYS_RETRY_AFTER });
            SubjectKeys::new()
        })
    }

    /// Writes the events of one parcel into batches, in memory; `earlier` are the parcels of its group before it. Returns how
    /// many conflicts are not sealed.
    ///
    /// # Errors
    /// When an event cannot be written: what was sealed so far is not, and the process stops.
    pub(super) fn seal_parcel(
        &mut self,
        parcel: &Parcel,
        earlier: &[Parcel],
        keys: &SubjectKeys,
        now: &Moment,
    ) -> Result<u64, StreamError> {
        let epoch = self.epoch.as_mut().ok_or(StreamError::NoEpoch)?;
        let stream_nanos = now.wall_unix_nano.max(self.stream_nanos);
        self.stream_nanos = stream_nanos;
        let mut hand = Hand {
            pen: Pen { epoch, writer: &mut self.writer, refused: &self.refused, measures: &self.measures, now: *now },
            references: &mut self.references,
            nonces: &mut self.nonces,
            keys,
            placed: Placed::default(),
        };
        let (mut sealed, mut duplicates, mut conflicts, mut unsealed) = (0, 0, 0, 0);
        self.window.warm(parcel.spans.iter().map(|span| span.fingerprint.key));
        for span in &parcel.spans {
            // From here on nothing may fail but the process: the window remembers the span.
            match self.window.look(span.fingerprint) {
                Seen::Same => duplicates += 1,
                Seen::Never => {
                    let index = hand.span(parcel, span)?;
                    self.window.remember(span.fingerprint, index, stream_nanos);
                    sealed += 1;
                }
                Seen::Other { first } => {
                    conflicts += 1;
                    if self.conflicts.admit(&parcel.tenant.tenant, now) {
                        let conflicting = Conflicting { first, parcel, span, earlier };
                        let variant = self.conflicts.is_variant(&conflicting, &self.subjects, now);
                        let index = hand.conflict(&conflicting, variant)?;
                        self.window.remember_other(span.fingerprint, index, stream_nanos);
                    } else {
                        unsealed += 1;
                    }
                }
            }
        }
        hand.pen.epoch.tally.duplicate += duplicates;
        hand.pen.epoch.tally.conflict += conflicts;
        if let Some(rejected) = &parcel.rejected {
            hand.finding(parcel, rejected)?;
            hand.pen.epoch.tally.invalid += rejected.spans;
            self.measures.invalid.inc_by(rejected.spans);
        }
        self.measures.sealed.inc_by(sealed);
        self.measures.duplicate.inc_by(duplicates);
        self.measures.conflict.inc_by(conflicts);
        Ok(unsealed)
    }
}

/// Everything that writing the events of one parcel takes.
pub(super) struct Hand<'a> {
    pub(super) pen: Pen<'a>,
    references: &'a mut References,
    nonces: &'a mut Nonces,
    keys: &'a SubjectKeys,
    placed: Placed,
}

/// Where this parcel's shared messages stand in the run at hand, by their place in the parcel; 0: not looked up.
#[derive(Default)]
struct Placed {
    run: Run,
    indices: Vec<u64>,
}

/// What a span event refers to.
pub(super) struct Refs {
    pub(super) resource: u64,
    pub(super) scope: u64,
    pub(super) tenant: u64,
    pub(super) configuration: u64,
}

impl Hand<'_> {
    fn span(&mut self, parcel: &Parcel, span: &ParcelSpan) -> Result<u64, StreamError> {
        let refs = self.refs(parcel, span)?;
        let nothing = Extra::default();
        let extra = span.extra.as_deref().unwrap_or(&nothing);
        let head = SpanHead {
            received_unix_nano: parcel.received_unix_nano,
            resource: refs.resource,
            scope: refs.scope,
            tenant: refs.tenant,
            configuration: refs.configuration,
            encoding: encoding(parcel.encoding),
            producer: extra.producer.as_ref().map(|(id, sequence)| (id, *sequence)),
            assessment: parcel.assessment(span),
        };
        match &extra.cut {
            None => self.span_event(&head, parcel.span(span), &[], &[]),
            Some(cut) => self.cut_span(&head, cut),
        }
    }

    fn span_event(
        &mut self,
        head: &SpanHead<'_>,
        span: &[u8],
        cuts: &[Cut],
        payloads: &[[u8; 32]],
    ) -> Result<u64, StreamError> {
        let len = envelope::span_event_len(head, span, cuts, payloads);
        self.pen.push(kind::SPAN, len, |out| envelope::span_event(out, head, span, cuts, payloads))
    }

    fn cut_span(&mut self, head: &SpanHead<'_>, cut: &CutMessage) -> Result<u64, StreamError> {
        let blank = vec![[0; 32]; payloads::chunks(cut.pieces.len())];
        // The payload records stand right before the batch with their event.
        self.pen.make_room(envelope::span_event_len(head, &cut.stored, &cut.cuts, &blank))?;
        let ids = self.payloads(cut)?;
        self.span_event(head, &cut.stored, &cut.cuts, &ids)
    }

    /// Returns the references of a span, all in the run of the index that it gets.
    pub(super) fn refs(&mut self, parcel: &Parcel, span: &ParcelSpan) -> Result<Refs, StreamError> {
        loop {
            let run = self.run();
            if self.placed.run != run {
                self.placed = Placed { run, indices: vec![0; 2 + parcel.shared.len()] };
            }
            let (resource, scope) = (span.resource as usize, span.scope as usize);
            let refs = Refs {
                tenant: self.place(0, &parcel.tenant)?,
                configuration: self.place(1, &parcel.configuration)?,
                resource: self.place(2 + resource, &parcel.shared[resource])?,
                scope: self.place(2 + scope, &parcel.shared[scope])?,
            };
            // Writing them may have used up the run; then they are written again in the next.
            if self.run() == run {
                return Ok(refs);
            }
        }
    }

    fn run(&self) -> Run {
        Run::of(self.pen.epoch.sealer.epoch(), self.pen.epoch.sealer.next_index())
    }

    /// Returns where a shared message stands in the run at hand, written now if need be.
    fn place(&mut self, at: usize, shared: &Shared) -> Result<u64, StreamError> {
        if self.placed.indices[at] == 0 {
            let run = self.run();
            self.placed.indices[at] = match self.references.find(run, shared.print) {
                Some(index) => index,
                None => {
                    let index = self.resource_event(shared)?;
                    self.references.note(Run::of(run.epoch, index), shared.print, index);
                    index
                }
            };
        }
        Ok(self.placed.indices[at])
    }

    fn resource_event(&mut self, shared: &Shared) -> Result<u64, StreamError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut event = ResourceEvent {
            version: 1,
            nonce: self.nonces.draw::<16>()?.to_vec(),
            what: shared.what as i32,
            tenant: shared.tenant.name.clone(),
            peer: shared.tenant.peer.clone(),
            schema_url: text(&shared.schema_url),
            ..ResourceEvent::default()
        };
        match &shared.content {
            Content::Whole(content) => event.content = content.to_vec(),
            Content::Cut(cut) => {
                event.content.clone_from(&cut.stored);
                event.cuts.clone_from(&cut.cuts);
                event.payloads = vec![vec![0; 32]; payloads::chunks(cut.pieces.len())];
                self.pen.make_room(event.encoded_len())?;
                event.payloads = self.payloads(cut)?.iter().map(|id| id.to_vec()).collect();
            }
        }
        self.pen.message(kind::RESOURCE, &event)
    }

    /// Records that spans of a request were refused for good.
    fn finding(&mut self, parcel: &Parcel, rejected: &Rejected) -> Result<(), StreamError> {
        let event = FindingEvent {
            version: 1,
            found_unix_nano: parcel.received_unix_nano,
            code: SPANS_REFUSED.to_owned(),
            message: rejected.message.clone(),
            tenant: parcel.tenant.tenant.name.clone(),
            spans: rejected.spans,
            events: Vec::new(),
        };
        self.pen.message(kind::FINDING, &event).map(drop)
    }

    /// Adds the payload records of one event to the group and returns their ids, in chunk order.
    pub(super) fn payloads(&mut self, cut: &CutMessage) -> Result<Vec<[u8; 32]>, StreamError> {
        let subject = self.keys.get(&cut.subject).ok_or(StreamError::NoSubject)?;
        let stream = self.pen.epoch.sealer.stream();
        let (mut ids, mut refused) = (Vec::new(), Ok(()));
        payloads::seal_pieces(&cut.pieces, &stream.0, subject, self.nonces, |record, id| {
            ids.push(id);
            if let Err(error) = self.pen.writer.append(RecordKind::Payload, record) {
                refused = Err(error);
            }
        })?;
        refused?;
        Ok(ids)
    }
}

pub(super) fn encoding(encoding: intake::Encoding) -> Encoding {
    match encoding {
        intake::Encoding::Protobuf => Encoding::Protobuf,
        intake::Encoding::Json => Encoding::Json,
    }
}

const KEYS_RETRY_AFTER: Duration = Duration::from_secs(5);
/// The finding that spans were refused for good.
pub const SPANS_REFUSED: &str = "spans_refused";
