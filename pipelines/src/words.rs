//! The words of commands and answers.

use spanseal_schemas::event::Verdict;
use spanseal_schemas::kind;

/// Returns the kind's name, or its number when this version does not know it.
pub(crate) fn kind_name(kind: u8) -> String {
    kind::name(kind).map_or_else(|| kind.to_string(), str::to_owned)
}

/// Returns the verdict's word.
pub(crate) fn verdict_name(verdict: i32) -> &'static str {
    match Verdict::try_from(verdict) {
        Ok(Verdict::NoAction) => "no_action",
        Ok(Verdict::Proven) => "proven",
        Ok(Verdict::Unproven) => "unproven",
        Ok(Verdict::Violated) => "violated",
        Ok(Verdict::Pending) => "pending",
        Err(_) => "unknown",
    }
}

/// Returns the word for an OTLP status code; unset has none.
pub(crate) fn status_name(code: i32) -> Option<&'static str> {
    match code {
        1 => Some("ok"),
        2 => Some("error"),
        _ => None,
    }
}
