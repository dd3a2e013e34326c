//! The kind byte of an event (format.md section 2).

/// A span as received: [`crate::event::SpanEvent`].
pub const SPAN: u8 = 1;
/// Something that many spans share: [`crate::event::ResourceEvent`].
pub const RESOURCE: u8 = 2;
/// Bytes that back claims: [`crate::event::EvidenceEvent`].
pub const EVIDENCE: u8 = 3;
/// A later verdict: [`crate::event::AssessmentEvent`].
pub const ASSESSMENT: u8 = 4;
/// Something was lost: the ledger's own layout (format.md section 7), no protobuf.
pub const GAP: u8 = 5;
/// A span with the ids of an earlier one and other bytes: [`crate::event::ConflictEvent`].
pub const CONFLICT: u8 = 6;
/// A discovery about earlier events: [`crate::event::FindingEvent`].
pub const FINDING: u8 = 7;
/// A subject's key was destroyed: [`crate::event::ErasureEvent`].
pub const ERASURE: u8 = 8;
/// An epoch opens or closes: the ledger's own layout (format.md section 6), no protobuf.
pub const KEY: u8 = 9;

/// Returns the name of a kind as format.md's table has it; `None` for a kind of another version.
pub const fn name(kind: u8) -> Option<&'static str> {
    match kind {
        SPAN => Some("span"),
        RESOURCE => Some("resource"),
        EVIDENCE => Some("evidence"),
        ASSESSMENT => Some("assessment"),
        GAP => Some("gap"),
        CONFLICT => Some("conflict"),
        FINDING => Some("finding"),
        ERASURE => Some("erasure"),
        KEY => Some("key"),
        _ => None,
    }
}
