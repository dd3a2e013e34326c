//! Orders about subjects from the machine's own operators: over a socket in the data directory while a collector runs,
//! else by opening the stream as a collector does. There is no way in over the network.
//!
//! One line of JSON is asked and one is answered; then the connection ends.

mod client;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::seal::{Done, Refused};

pub use client::{ControlError, carry_out};
pub(crate) use server::{Control, run};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Done),
    Refused(Refused),
    /// The line that was asked has no meaning here.
    NoOrder(String),
}

/// Where a collector listens.
fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

const LINE_BYTES_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
