//! What is cut out of a message before it is sealed: the values that are kept out, and what would not fit an event.

use spanseal_ledger::batch::EVENT_BYTES_MAX;
use spanseal_schemas::cut::{self, Hole, Shape};
use spanseal_schemas::envelope::{self, SpanHead};
use spanseal_schemas::event::{Assessment, Cut, Encoding, What};
use spanseal_schemas::scan::{self, AnyValue};

use super::keep_out::KeepOut;
use super::parcel::CutMessage;
use super::payloads::{chunks, push_piece};
use super::rejection::Rejection;
use super::subjects::SubjectName;
use crate::intake::Tenant;
use crate::text::hex;

/// The configured cuts.
#[derive(Debug)]
pub(crate) struct Cutting {
    keep_out: KeepOut,
    /// Key of the span attribute that names the subject; without it, it is the trace.
    subject: Option<String>,
}

/// Whose message it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) trace_id: &'a [u8; 16],
}

/// A resource or a scope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedMessage<'a> {
    pub(crate) shape: Shape,
    pub(crate) content: &'a [u8],
}

impl SharedMessage<'_> {
    pub(crate) fn what(&self) -> What {
        if self.shape == Shape::Scope { What::Scope } else { What::Resource }
    }

    /// The number of the field with the attributes.
    fn attributes(&self) -> u32 {
        if self.shape == Shape::Scope { 3 } else { 1 }
    }
}

impl Cutting {
    pub(crate) fn new(keep_out: impl IntoIterator<Item = String>, subject: Option<String>) -> Self {
        Self { keep_out: KeepOut::new(keep_out), subject }
    }

    /// Returns the span with holes, unless it is sealed whole.
    ///
    /// # Errors
    /// When no cut makes it fit.
    pub(crate) fn span(
        &self,
        span: &[u8],
        whose: &Whose<'_>,
        assessment: Option<&Assessment>,
    ) -> Result<Option<CutMessage>, Rejection> {
        let room = EVENT_BYTES_MAX - span_head_len(assessment);
        let holes = self.holes(Shape::Span, span, room);
        if holes.is_empty() {
            return whole(span, room);
        }
        let subject =
            self.named_subject(span, SPAN_ATTRIBUTES).unwrap_or_else(|| format!("trace:{}", hex(whose.trace_id)));
        let subject = SubjectName { tenant: whose.tenant.to_owned(), subject };
        cut_out(span, holes, room, subject).map(Some)
    }

    /// Returns the resource or scope with holes, unless it is sealed whole.
    ///
    /// # Errors
    /// When no cut makes it fit.
    pub(crate) fn shared(
        &self,
        message: &SharedMessage<'_>,
        schema_url: &str,
        tenant: &Tenant,
        print: u128,
    ) -> Result<Option<CutMessage>, Rejection> {
        let names = schema_url.len() + tenant.name.len() + tenant.peer.len();
        let room = EVENT_BYTES_MAX.saturating_sub(RESOURCE_HEAD_LEN + names);
        let holes = self.holes(message.shape, message.content, room);
        if holes.is_empty() {
            return whole(message.content, room);
        }
        // It belongs to no trace, so it is a subject by itself.
        let subject = self
            .named_subject(message.content, message.attributes())
            .unwrap_or_else(|| format!("shared:{}", hex(&print.to_be_bytes())));
        let subject = SubjectName { tenant: tenant.name.clone(), subject };
        cut_out(message.content, holes, room, subject).map(Some)
    }

    fn holes(&self, shape: Shape, message: &[u8], room: usize) -> Vec<Hole> {
        if self.keep_out.is_empty() && message.len() + MESSAGE_FIELD_LEN <= room {
            return Vec::new();
        }
        cut::plan_shape(shape, message, &|key| self.keep_out.has(key), room)
    }

    /// Returns `attribute:<text>` when the configured attribute is there; the first of several counts.
    fn named_subject(&self, message: &[u8], attributes: u32) -> Option<String> {
        let subject = self.subject.as_ref()?;
        let mut named = None;
        // The message was scanned before, so this does not fail.
        let _ = scan::attributes(message, attributes, &mut |key, value| {
            if key == subject && named.is_none() {
                named = text(&value);
            }
        });
        named.map(|name| format!("attribute:{name}"))
    }
}

fn text(value: &AnyValue<'_>) -> Option<String> {
    match value {
        AnyValue::String(text) => Some((*text).to_owned()),
        AnyValue::Int(number) => Some(number.to_string()),
        AnyValue::Bytes(bytes) => Some(hex(bytes)),
        AnyValue::Bool(bool) => Some(bool.to_string()),
        _ => None,
    }
}

/// A message that nothing is cut out of must fit as it is.
fn whole(message: &[u8], room: usize) -> Result<Option<CutMessage>, Rejection> {
    match message.len() + MESSAGE_FIELD_LEN {
        bytes if bytes > room => Err(Rejection::Uncuttable { bytes }),
        _ => Ok(None),
    }
}

fn cut_out(message: &[u8], holes: Vec<Hole>, room: usize, subject: SubjectName) -> Result<CutMessage, Rejection> {
    let stored = cut::remove(message, &holes);
    let mut pieces = Vec::with_capacity(message.len() - stored.len() + 20 * holes.len());
    let bytes = cut::pieces(message, &holes);
    let mut cuts = Vec::with_capacity(holes.len());
    for (hole, bytes) in holes.into_iter().zip(bytes) {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| Rejection::NoSalt)?;
        let commitment = push_piece(&mut pieces, &salt, bytes).to_vec();
        let Hole { offset, length, path, fields } = hole;
        cuts.push(Cut { offset, length, path, fields, commitment });
    }
    let cut = CutMessage { stored, cuts, subject, pieces };
    match cut_len(&cut) {
        bytes if bytes > room => Err(Rejection::Uncuttable { bytes }),
        _ => Ok(cut),
    }
}

/// Returns what the message, its cuts and its payload ids take in an event.
fn cut_len(cut: &CutMessage) -> usize {
    let payloads = vec![[0; 32]; chunks(cut.pieces.len())];
    envelope::span_event_len(&NOTHING, &cut.stored, &cut.cuts, &payloads)
}

/// Returns what a span event takes at most beside span, cuts and payloads, the kind byte included.
pub(super) fn span_head_len(assessment: Option<&Assessment>) -> usize {
    let head = SpanHead {
        received_unix_nano: u64::MAX,
        resource: u64::MAX,
        scope: u64::MAX,
        tenant: u64::MAX,
        configuration: u64::MAX,
        encoding: Encoding::Json,
        producer: Some((&[0xff; 16], u64::MAX)),
        assessment,
    };
    1 + envelope::span_event_len(&head, &[], &[], &[])
}

const NOTHING: SpanHead<'_> = SpanHead {
    received_unix_nano: 0,
    resource: 0,
    scope: 0,
    tenant: 0,
    configuration: 0,
    encoding: Encoding::Protobuf,
    producer: None,
    assessment: None,
};

/// Tag and length of a field of up to 64 KiB.
const MESSAGE_FIELD_LEN: usize = 4;

/// Kind byte, version, nonce, what, and the tags and lengths of everything else in a resource event.
const RESOURCE_HEAD_LEN: usize = 64;

const SPAN_ATTRIBUTES: u32 = 9;
