//! The OTLP messages that requests consist of: which JSON key is which field.

mod logs;
mod metrics;

use crate::signal::Signal;

/// One message.
pub(super) struct Message {
    pub(super) fields: &'static [Field],
    /// Every field is a [`Presence::Member`], and an absent message keeps its place in a list.
    pub(super) oneof: bool,
}

pub(super) struct Field {
    pub(super) json: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
}

/// Whether a value that is its type's default is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Implicit,
    Explicit,
    /// It is, and no other member of the message may be there.
    Member,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Scalar(Scalar),
    Strings,
    /// Numbers without their keys.
    Packed(Scalar),
    Message(&'static Message),
    Messages(&'static Message),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    String,
    /// A trace or span id.
    Hex,
    Base64,
    Bool,
    Enum,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
}

/// Returns the message that a request of a signal is.
pub(super) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &logs::LOGS,
        Signal::Metrics => &metrics::METRICS,
    }
}

static TRACES: Message =
    Message { oneof: false, fields: &[field("resourceSpans", 1, Kind::Messages(&RESOURCE_SPANS))] };

static RESOURCE_SPANS: Message = Message {
    oneof: false,
    fields: &[
        field("resource", 1, Kind::Message(&RESOURCE)),
        field("scopeSpans", 2, Kind::Messages(&SCOPE_SPANS)),
        field("schemaUrl", 3, Kind::Scalar(Scalar::String)),
    ],
};

static RESOURCE: Message = Message {
    oneof: false,
    fields: &[
        field("attributes", 1, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 2, Kind::Scalar(Scalar::Uint32)),
        field("entityRefs", 3, Kind::Messages(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Message = Message {
    oneof: false,
    fields: &[
        field("schemaUrl", 1, Kind::Scalar(Scalar::String)),
        field("type", 2, Kind::Scalar(Scalar::String)),
        field("idKeys", 3, Kind::Strings),
        field("descriptionKeys", 4, Kind::Strings),
    ],
};

static SCOPE_SPANS: Message = Message {
    oneof: false,
    fields: &[
        field("scope", 1, Kind::Message(&SCOPE)),
        field("spans", 2, Kind::Messages(&SPAN)),
        field("schemaUrl", 3, Kind::Scalar(Scalar::String)),
    ],
};

static SCOPE: Message = Message {
    oneof: false,
    fields: &[
        field("name", 1, Kind::Scalar(Scalar::String)),
        field("version", 2, Kind::Scalar(Scalar::String)),
        field("attributes", 3, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 4, Kind::Scalar(Scalar::Uint32)),
    ],
};

static SPAN: Message = Message {
    oneof: false,
    fields: &[
        field("traceId", 1, Kind::Scalar(Scalar::Hex)),
        field("spanId", 2, Kind::Scalar(Scalar::Hex)),
        field("traceState", 3, Kind::Scalar(Scalar::String)),
        field("parentSpanId", 4, Kind::Scalar(Scalar::Hex)),
        field("flags", 16, Kind::Scalar(Scalar::Fixed32)),
        field("name", 5, Kind::Scalar(Scalar::String)),
        field("kind", 6, Kind::Scalar(Scalar::Enum)),
        field("startTimeUnixNano", 7, Kind::Scalar(Scalar::Fixed64)),
        field("endTimeUnixNano", 8, Kind::Scalar(Scalar::Fixed64)),
        field("attributes", 9, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 10, Kind::Scalar(Scalar::Uint32)),
        field("events", 11, Kind::Messages(&EVENT)),
        field("droppedEventsCount", 12, Kind::Scalar(Scalar::Uint32)),
        field("links", 13, Kind::Messages(&LINK)),
        field("droppedLinksCount", 14, Kind::Scalar(Scalar::Uint32)),
        field("status", 15, Kind::Message(&STATUS)),
    ],
};

static EVENT: Message = Message {
    oneof: false,
    fields: &[
        field("timeUnixNano", 1, Kind::Scalar(Scalar::Fixed64)),
        field("name", 2, Kind::Scalar(Scalar::String)),
        field("attributes", 3, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 4, Kind::Scalar(Scalar::Uint32)),
    ],
};

static LINK: Message = Message {
    oneof: false,
    fields: &[
        field("traceId", 1, Kind::Scalar(Scalar::Hex)),
        field("spanId", 2, Kind::Scalar(Scalar::Hex)),
        field("traceState", 3, Kind::Scalar(Scalar::String)),
        field("attributes", 4, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 5, Kind::Scalar(Scalar::Uint32)),
        field("flags", 6, Kind::Scalar(Scalar::Fixed32)),
    ],
};

static STATUS: Message = Message {
    oneof: false,
    fields: &[field("message", 2, Kind::Scalar(Scalar::String)), field("code", 3, Kind::Scalar(Scalar::Enum))],
};

static KEY_VALUE: Message = Message {
    oneof: false,
    fields: &[
        field("key", 1, Kind::Scalar(Scalar::String)),
        field("value", 2, Kind::Message(&ANY_VALUE)),
        field("keyStrindex", 3, Kind::Scalar(Scalar::Int32)),
    ],
};

static ANY_VALUE: Message = Message {
    oneof: true,
    fields: &[
        member("stringValue", 1, Kind::Scalar(Scalar::String)),
        member("boolValue", 2, Kind::Scalar(Scalar::Bool)),
        member("intValue", 3, Kind::Scalar(Scalar::Int64)),
        member("doubleValue", 4, Kind::Scalar(Scalar::Double)),
        member("arrayValue", 5, Kind::Message(&ARRAY_VALUE)),
        member("kvlistValue", 6, Kind::Message(&KEY_VALUE_LIST)),
        member("bytesValue", 7, Kind::Scalar(Scalar::Base64)),
        member("stringValueStrindex", 8, Kind::Scalar(Scalar::Int32)),
    ],
};

static ARRAY_VALUE: Message = Message { oneof: false, fields: &[field("values", 1, Kind::Messages(&ANY_VALUE))] };

static KEY_VALUE_LIST: Message = Message { oneof: false, fields: &[field("values", 1, Kind::Messages(&KEY_VALUE))] };

const fn field(json: &'static str, number: u32, kind: Kind) -> Field {
    Field { json, number, kind, presence: Presence::Implicit }
}

const fn optional(json: &'static str, number: u32, kind: Kind) -> Field {
    Field { json, number, kind, presence: Presence::Explicit }
}

/// A member of the one `oneof` that a message has.
const fn member(json: &'static str, number: u32, kind: Kind) -> Field {
    Field { json, number, kind, presence: Presence::Member }
}
