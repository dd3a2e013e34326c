//! Approvals from the program's own code.

use std::fmt;

use super::{Approval, Source, SourceError, Wanted};
use crate::policy::Answer;

/// Returns a source that asks `find`.
pub fn callback<F>(find: F) -> impl Source
where
    F: for<'a> Fn(&'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> + Send + Sync + 'static,
{
    Callback(find)
}

struct Callback<F>(F);

impl<F> fmt::Debug for Callback<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

impl<F> Source for Callback<F>
where
    F: for<'a> Fn(&'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> + Send + Sync + 'static,
{
    fn find<'a>(&'a self, wanted: &'a Wanted<'a>) -> Answer<'a, Result<Option<Approval>, SourceError>> {
        (self.0)(wanted)
    }
}
