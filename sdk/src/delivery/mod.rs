//! How evidence leaves the process: the spans of decisions, actions and the producer's end, in a lane of their own.
//!
//! ```text
//! span ends --> encoded once --> [spool] --> queue --> OTLP call --> the collector's answer, read to the end
//! ```
//! Other spans go through OpenTelemetry's batch processor, which drops what it has no room for without a word.

mod lane;
mod send;
mod spool;

use std::path::PathBuf;

pub(crate) use lane::{Confirmed, Lane};
pub(crate) use send::{SendError, Sender};
pub(crate) use spool::{Spool, SpoolError};

/// What is promised of evidence before an action runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It waits in memory, and is sent again for as long as the program runs. A crash loses what waits.
    #[default]
    Queued,
    /// It is in a file of this folder before the action goes on, and what a crash leaves there is sent at the next
    /// start. A crash of the machine may lose the last second.
    Spooled(PathBuf),
    /// The collector has confirmed that the decision is sealed before the action starts; if it does not, the action
    /// does not run.
    Acked,
}
