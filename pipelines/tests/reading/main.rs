//! What reads a data directory: verification, index, search, explanation.
#![expect(clippy::unwrap_used, reason = "what a test unwraps is what it checks")]

mod check;
mod find;
mod index;
mod resume;
mod subject;
mod why;
mod world;
