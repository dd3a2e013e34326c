//! The kind byte of an event (format.md section 2).

/// An OTLP span as received: protobuf `SpanEvent`.
pub const SPAN: u8 = 1;
/// A resource, scope, tenant or configuration that spans refer to: protobuf `ResourceEvent`.
pub const RESOURCE: u8 = 2;
/// Bytes that back a claim: protobuf `EvidenceEvent`.
pub const EVIDENCE: u8 = 3;
/// A later assessment of an action: protobuf `AssessmentEvent`.
pub const ASSESSMENT: u8 = 4;
/// Something was lost or is not known: [`crate::gap::Gap`].
pub const GAP: u8 = 5;
/// A span with the ids of another and other bytes: protobuf `ConflictEvent`.
pub const CONFLICT: u8 = 6;
/// A later discovery about earlier events: protobuf `FindingEvent`.
pub const FINDING: u8 = 7;
/// A subject's key was destroyed: protobuf `ErasureEvent`.
pub const ERASURE: u8 = 8;
/// An epoch opens or closes: [`crate::key_event`].
pub const KEY: u8 = 9;

/// Whether this version of the format gives the kind byte a meaning.
pub fn is_known(kind: u8) -> bool {
    matches!(kind, SPAN..=KEY)
}
