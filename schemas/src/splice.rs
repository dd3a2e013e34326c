//! Marks spans for forwarding without decoding them, and groups them into a request again.

/// The value of a mark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark<'a> {
    /// Text.
    Str(&'a str),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
}

/// Appends the span's bytes without the `spanseal.*` attributes that a client set, and with `marks` as attributes.
///
/// Unknown fields survive. `span` must have passed [`crate::scan::span`]; of other bytes what follows the first
/// broken field is appended as it is.
pub fn marked(_out: &mut Vec<u8>, _span: &[u8], _marks: &[(&str, Mark<'_>)]) {}

/// Which resource and scope a span belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The `Resource` message.
    pub resource: &'a [u8],
    /// The resource's schema URL.
    pub resource_schema_url: &'a str,
    /// The `InstrumentationScope` message.
    pub scope: &'a [u8],
    /// The schema URL of the spans.
    pub scope_schema_url: &'a str,
}

/// Builds an `ExportTraceServiceRequest` from spans, grouped by where they come from.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    spans: usize,
}

impl RequestBuilder {
    /// Returns an empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one span with its marks, see [`marked`].
    pub fn push(&mut self, _origin: &Origin<'_>, _span: &[u8], _marks: &[(&str, Mark<'_>)]) {
        self.spans += 1;
    }

    /// Returns how many spans were added.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// Returns how many bytes the request has so far.
    pub fn bytes(&self) -> usize {
        0
    }

    /// Returns the request's bytes and begins an empty one.
    pub fn finish(&mut self) -> Vec<u8> {
        Vec::new()
    }
}
