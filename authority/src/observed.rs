//! What the collector saw of one span, as far as it is judged.

use spanseal_schemas::scan::AnyValue;

/// One span and how it came.
#[derive(Clone, Debug, Default)]
pub struct Observed<'a> {
    /// The collector's clock when the request was taken in, nanoseconds since the Unix epoch.
    pub received_unix_nano: u64,
    /// Whose span it is.
    pub tenant: &'a str,
    /// The authenticated peer; empty: not authenticated. Nothing is concluded from it yet.
    pub peer: &'a str,
    /// As received; 16 bytes when valid.
    pub trace_id: &'a [u8],
    /// As received; 8 bytes when valid.
    pub span_id: &'a [u8],
    /// As received; empty at a trace's root.
    pub parent_span_id: &'a [u8],
    /// The span's name.
    pub name: &'a str,
    /// The sender's clock, nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// The sender's clock, nanoseconds since the Unix epoch.
    pub end_unix_nano: u64,
    /// The resource's `service.name`; empty when absent.
    pub service: &'a str,
    /// The attributes that [`crate::Authority::wants`].
    pub attributes: &'a Attributes<'a>,
}

/// The attributes of one span that bear on a verdict, in order, repeated keys kept.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a>(Vec<(&'a str, AnyValue<'a>)>);

impl<'a> Attributes<'a> {
    /// Returns an empty list; nothing is allocated.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one that [`crate::Authority::wants`].
    pub fn push(&mut self, key: &'a str, value: AnyValue<'a>) {
        self.0.push((key, value));
    }

    /// Takes all out, for the next span.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns them in order.
    pub fn iter(&self) -> impl Iterator<Item = &(&'a str, AnyValue<'a>)> {
        self.0.iter()
    }
}

impl Default for &Attributes<'_> {
    fn default() -> Self {
        const { &Attributes(Vec::new()) }
    }
}
