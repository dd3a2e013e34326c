//! The messages of a request of logs.

use super::{ANY_VALUE, KEY_VALUE, Kind, Message, RESOURCE, SCOPE, Scalar, field};

pub(in super::super) static LOGS: Message =
    Message { oneof: false, fields: &[field("resourceLogs", 1, Kind::Messages(&RESOURCE_LOGS))] };

static RESOURCE_LOGS: Message = Message {
    oneof: false,
    fields: &[
        field("resource", 1, Kind::Message(&RESOURCE)),
        field("scopeLogs", 2, Kind::Messages(&SCOPE_LOGS)),
        field("schemaUrl", 3, Kind::Scalar(Scalar::String)),
    ],
};

static SCOPE_LOGS: Message = Message {
    oneof: false,
    fields: &[
        field("scope", 1, Kind::Message(&SCOPE)),
        field("logRecords", 2, Kind::Messages(&LOG_RECORD)),
        field("schemaUrl", 3, Kind::Scalar(Scalar::String)),
    ],
};

static LOG_RECORD: Message = Message {
    oneof: false,
    fields: &[
        field("timeUnixNano", 1, Kind::Scalar(Scalar::Fixed64)),
        field("observedTimeUnixNano", 11, Kind::Scalar(Scalar::Fixed64)),
        field("severityNumber", 2, Kind::Scalar(Scalar::Enum)),
        field("severityText", 3, Kind::Scalar(Scalar::String)),
        field("body", 5, Kind::Message(&ANY_VALUE)),
        field("attributes", 6, Kind::Messages(&KEY_VALUE)),
        field("droppedAttributesCount", 7, Kind::Scalar(Scalar::Uint32)),
        field("flags", 8, Kind::Scalar(Scalar::Fixed32)),
        field("traceId", 9, Kind::Scalar(Scalar::Hex)),
        field("spanId", 10, Kind::Scalar(Scalar::Hex)),
        field("eventName", 12, Kind::Scalar(Scalar::String)),
    ],
};
