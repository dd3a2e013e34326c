//! Span events written and read without prost: the hot path's encoding, byte for byte what prost writes.

use prost::Message;

use crate::canonical::{Refusal, VERSION};
use crate::event::{Assessment, Cut, Encoding};
use crate::wire::{FIXED64, LEN, Reader, VARINT, key, put_varint, varint_len};

/// Everything of a span event but the span.
#[derive(Clone, Copy, Debug)]
pub struct SpanHead<'a> {
    /// The collector's clock when the request was taken in.
    pub received_unix_nano: u64,
    /// Index of the resource event.
    pub resource: u64,
    /// Index of the scope event.
    pub scope: u64,
    /// Index of the tenant event.
    pub tenant: u64,
    /// Index of the configuration event.
    pub configuration: u64,
    /// How the span reached the collector.
    pub encoding: Encoding,
    /// The SDK process that numbered the span, and the number, from 1.
    pub producer: Option<(&'a [u8; 16], u64)>,
    /// `None` for a span that is no action and has no claims. Reasons ascend, and no trailing grade is absent.
    pub assessment: Option<&'a Assessment>,
}

/// Appends the body of a span event, in canonical form.
pub fn span_event(out: &mut Vec<u8>, head: &SpanHead<'_>, span: &[u8], cuts: &[Cut], payloads: &[[u8; 32]]) {
    write(out, head, span, cuts, payloads);
}

/// Returns how many bytes [`span_event`] appends.
pub fn span_event_len(head: &SpanHead<'_>, span: &[u8], cuts: &[Cut], payloads: &[[u8; 32]]) -> usize {
    let mut count = Count(0);
    write(&mut count, head, span, cuts, payloads);
    count.0
}

fn write(out: &mut impl Sink, head: &SpanHead<'_>, span: &[u8], cuts: &[Cut], payloads: &[[u8; 32]]) {
    out.number(1, u64::from(VERSION));
    out.fixed64(2, head.received_unix_nano);
    out.number(3, head.resource);
    out.number(4, head.scope);
    out.number(5, head.tenant);
    out.number(6, head.configuration);
    out.number(7, head.encoding as u64);
    if let Some((producer, sequence)) = head.producer {
        out.bytes(8, producer);
        out.number(9, sequence);
    }
    if let Some(assessment) = head.assessment {
        out.message(10, assessment);
    }
    if !span.is_empty() {
        out.bytes(11, span);
    }
    for cut in cuts {
        out.message(12, cut);
    }
    for payload in payloads {
        out.bytes(13, payload);
    }
}

/// Where fields go: into a buffer, or only into a count of their bytes.
trait Sink: Sized {
    fn varint(&mut self, value: u64);
    fn raw(&mut self, bytes: &[u8]);
    fn encode(&mut self, message: &impl Message);

    fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(key(field, VARINT));
            self.varint(value);
        }
    }

    fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(key(field, FIXED64));
            self.raw(&value.to_le_bytes());
        }
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(key(field, LEN));
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    fn message(&mut self, field: u32, message: &impl Message) {
        self.varint(key(field, LEN));
        self.varint(message.encoded_len() as u64);
        self.encode(message);
    }
}

impl Sink for Vec<u8> {
    fn varint(&mut self, value: u64) {
        put_varint(self, value);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn encode(&mut self, message: &impl Message) {
        message.encode(self).expect("a vector grows as far as it must");
    }
}

struct Count(usize);

impl Sink for Count {
    fn varint(&mut self, value: u64) {
        self.0 += varint_len(value);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn encode(&mut self, message: &impl Message) {
        self.0 += message.encoded_len();
    }
}

/// A span event's fields, borrowed from its body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanEventView<'a> {
    /// The collector's clock when the request was taken in.
    pub received_unix_nano: u64,
    /// Index of the resource event.
    pub resource: u64,
    /// Index of the scope event.
    pub scope: u64,
    /// Index of the tenant event.
    pub tenant: u64,
    /// Index of the configuration event.
    pub configuration: u64,
    /// How the span reached the collector.
    pub encoding: Encoding,
    /// The SDK process that numbered the span, and the number.
    pub producer: Option<(&'a [u8; 16], u64)>,
    /// `None` for a span that is no action and has no claims.
    pub assessment: Option<Assessment>,
    /// The span as received but for the cuts.
    pub span: &'a [u8],
    /// What was cut; [`crate::cut::view`] and [`crate::cut::restore`] take it.
    pub cuts: Vec<Cut>,
    /// Ids of the payload records with what was cut.
    pub payloads: Vec<&'a [u8; 32]>,
}

/// Returns the fields of a span event's body without copying the span.
///
/// Reads, and does not judge the form: [`crate::canonical::check`] does.
///
/// # Errors
///
/// A field is not one of a span event of this version.
pub fn view(body: &[u8]) -> Result<SpanEventView<'_>, Refusal> {
    let mut found = SpanEventView::default();
    let mut version = 0;
    let (mut producer, mut sequence) = (None, 0);
    let mut reader = Reader::new(body);
    while !reader.is_done() {
        let at = reader.at();
        // A key is the field's number times 8, plus its wire type.
        match reader.varint()? {
            0x08 => version = reader.varint()?,
            0x11 => found.received_unix_nano = reader.fixed64()?,
            0x18 => found.resource = reader.varint()?,
            0x20 => found.scope = reader.varint()?,
            0x28 => found.tenant = reader.varint()?,
            0x30 => found.configuration = reader.varint()?,
            0x38 => found.encoding = encoding(at, reader.varint()?)?,
            0x42 => producer = Some(array(at, reader.bytes()?)?),
            0x48 => sequence = reader.varint()?,
            0x52 => found.assessment = Some(decoded(at, reader.bytes()?)?),
            0x5A => found.span = reader.bytes()?,
            0x62 => found.cuts.push(decoded(at, reader.bytes()?)?),
            0x6A => found.payloads.push(array(at, reader.bytes()?)?),
            _ => return Err(Refusal::NotCanonical { at, why: "the field is not one of a span event" }),
        }
    }
    if version != u64::from(VERSION) {
        return Err(Refusal::UnknownVersion { kind: crate::kind::SPAN, version });
    }
    found.producer = producer.map(|id| (id, sequence));
    Ok(found)
}

fn encoding(at: usize, value: u64) -> Result<Encoding, Refusal> {
    let known = i32::try_from(value).ok().and_then(|value| Encoding::try_from(value).ok());
    known.ok_or(Refusal::NotCanonical { at, why: "the encoding is not known" })
}

fn array<const N: usize>(at: usize, bytes: &[u8]) -> Result<&[u8; N], Refusal> {
    bytes.try_into().map_err(|_| Refusal::NotCanonical { at, why: "the bytes have another length than they must" })
}

fn decoded<M: Message + Default>(at: usize, bytes: &[u8]) -> Result<M, Refusal> {
    M::decode(bytes).map_err(|_| Refusal::NotCanonical { at, why: "the embedded message does not decode" })
}
