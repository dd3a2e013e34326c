//! The messages of a request of metrics.

use super::{KEY_VALUE, Kind, Message, RESOURCE, SCOPE, Scalar, field, member, optional};

pub(in super::super) static METRICS: Message =
    Message { oneof: false, fields: &[field("resourceMetrics", 1, Kind::Messages(&RESOURCE_METRICS))] };

static RESOURCE_METRICS: Message = Message {
    oneof: false,
    fields: &[
        field("resource", 1, Kind::Message(&RESOURCE)),
        field("scopeMetrics", 2, Kind::Messages(&SCOPE_METRICS)),
        field("schemaUrl", 3, Kind::Scalar(Scalar::String)),
    ],
};

static SCOPE_METRICS: Message = Message {
    oneof: false,
    fields: &[
        field("scope", 1, Kind::Message(&SCOPE)),
        field("metrics", 2, Kind::Messages(&METRIC)),
        field("schemaUrl", 3, Kind::Scalar(Scalar::String)),
    ],
};

static METRIC: Message = Message {
    oneof: false,
    fields: &[
        field("name", 1, Kind::Scalar(Scalar::String)),
        field("description", 2, Kind::Scalar(Scalar::String)),
        field("unit", 3, Kind::Scalar(Scalar::String)),
        member("gauge", 5, Kind::Message(&GAUGE)),
        member("sum", 7, Kind::Message(&SUM)),
        member("histogram", 9, Kind::Message(&HISTOGRAM)),
        member("exponentialHistogram", 10, Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        member("summary", 11, Kind::Message(&SUMMARY)),
        field("metadata", 12, Kind::Messages(&KEY_VALUE)),
    ],
};

static GAUGE: Message = Message { oneof: false, fields: &[field("dataPoints", 1, Kind::Messages(&NUMBER_DATA_POINT))] };

static SUM: Message = Message {
    oneof: false,
    fields: &[
        field("dataPoints", 1, Kind::Messages(&NUMBER_DATA_POINT)),
        field("aggregationTemporality", 2, Kind::Scalar(Scalar::Enum)),
        field("isMonotonic", 3, Kind::Scalar(Scalar::Bool)),
    ],
};

static HISTOGRAM: Message = Message {
    oneof: false,
    fields: &[
        field("dataPoints", 1, Kind::Messages(&HISTOGRAM_DATA_POINT)),
        field("aggregationTemporality", 2, Kind::Scalar(Scalar::Enum)),
    ],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    oneof: false,
    fields: &[
        field("dataPoints", 1, Kind::Messages(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        field("aggregationTemporality", 2, Kind::Scalar(Scalar::Enum)),
    ],
};

static SUMMARY: Message =
    Message { oneof: false, fields: &[field("dataPoints", 1, Kind::Messages(&SUMMARY_DATA_POINT))] };

static NUMBER_DATA_POINT: Message = Message {
    oneof: false,
    fields: &[
        field("attributes", 7, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", 2, Kind::Scalar(Scalar::Fixed64)),
        field("timeUnixNano", 3, Kind::Scalar(Scalar::Fixed64)),
        member("asDouble", 4, Kind::Scalar(Scalar::Double)),
        member("asInt", 6, Kind::Scalar(Scalar::Sfixed64)),
        field("exemplars", 5, Kind::Messages(&EXEMPLAR)),
        field("flags", 8, Kind::Scalar(Scalar::Uint32)),
    ],
};

static HISTOGRAM_DATA_POINT: Message = Message {
    oneof: false,
    fields: &[
        field("attributes", 9, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", 2, Kind::Scalar(Scalar::Fixed64)),
        field("timeUnixNano", 3, Kind::Scalar(Scalar::Fixed64)),
        field("count", 4, Kind::Scalar(Scalar::Fixed64)),
        optional("sum", 5, Kind::Scalar(Scalar::Double)),
        field("bucketCounts", 6, Kind::Packed(Scalar::Fixed64)),
        field("explicitBounds", 7, Kind::Packed(Scalar::Double)),
        field("exemplars", 8, Kind::Messages(&EXEMPLAR)),
        field("flags", 10, Kind::Scalar(Scalar::Uint32)),
        optional("min", 11, Kind::Scalar(Scalar::Double)),
        optional("max", 12, Kind::Scalar(Scalar::Double)),
    ],
};

static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    oneof: false,
    fields: &[
        field("attributes", 1, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", 2, Kind::Scalar(Scalar::Fixed64)),
        field("timeUnixNano", 3, Kind::Scalar(Scalar::Fixed64)),
        field("count", 4, Kind::Scalar(Scalar::Fixed64)),
        optional("sum", 5, Kind::Scalar(Scalar::Double)),
        field("scale", 6, Kind::Scalar(Scalar::Sint32)),
        field("zeroCount", 7, Kind::Scalar(Scalar::Fixed64)),
        field("positive", 8, Kind::Message(&BUCKETS)),
        field("negative", 9, Kind::Message(&BUCKETS)),
        field("flags", 10, Kind::Scalar(Scalar::Uint32)),
        field("exemplars", 11, Kind::Messages(&EXEMPLAR)),
        optional("min", 12, Kind::Scalar(Scalar::Double)),
        optional("max", 13, Kind::Scalar(Scalar::Double)),
        field("zeroThreshold", 14, Kind::Scalar(Scalar::Double)),
    ],
};

static BUCKETS: Message = Message {
    oneof: false,
    fields: &[field("offset", 1, Kind::Scalar(Scalar::Sint32)), field("bucketCounts", 2, Kind::Packed(Scalar::Uint64))],
};

static SUMMARY_DATA_POINT: Message = Message {
    oneof: false,
    fields: &[
        field("attributes", 7, Kind::Messages(&KEY_VALUE)),
        field("startTimeUnixNano", 2, Kind::Scalar(Scalar::Fixed64)),
        field("timeUnixNano", 3, Kind::Scalar(Scalar::Fixed64)),
        field("count", 4, Kind::Scalar(Scalar::Fixed64)),
        field("sum", 5, Kind::Scalar(Scalar::Double)),
        field("quantileValues", 6, Kind::Messages(&VALUE_AT_QUANTILE)),
        field("flags", 8, Kind::Scalar(Scalar::Uint32)),
    ],
};

static VALUE_AT_QUANTILE: Message = Message {
    oneof: false,
    fields: &[field("quantile", 1, Kind::Scalar(Scalar::Double)), field("value", 2, Kind::Scalar(Scalar::Double))],
};

static EXEMPLAR: Message = Message {
    oneof: false,
    fields: &[
        field("filteredAttributes", 7, Kind::Messages(&KEY_VALUE)),
        field("timeUnixNano", 2, Kind::Scalar(Scalar::Fixed64)),
        member("asDouble", 3, Kind::Scalar(Scalar::Double)),
        member("asInt", 6, Kind::Scalar(Scalar::Sfixed64)),
        field("spanId", 4, Kind::Scalar(Scalar::Hex)),
        field("traceId", 5, Kind::Scalar(Scalar::Hex)),
    ],
};
