//! The sealing engine: everything between `Intake::submit` and the durable, sealed log.
//!
//! ```text
//!  many tokio tasks                      one thread a stream                      one thread
//!  intake::Door                          stream::Stream                           checkpoints
//!   scan, refuse bad spans    bounded     retry window, references, payloads       every second: note over
//!   classify, assess, cuts -> channel ->  events -> batches -> seals               what is durable
//!   fingerprints                          ONE commit for all that waited           every 10 s: root leaf
//!   wait for the answer  <--- oneshot ---  answers, then publishes (size, root) --> watch --> cursors
//! ```
//!
//! Who owns what: a [`stream::Stream`] owns its head, epoch key, log writer, retry window and references, and runs on one
//! thread. Two things are shared: the root log, behind a mutex that is only taken when an epoch opens or closes and when
//! checkpoints are due, never per group; and the subjects' keys ([`subjects::SharedSubjects`]), which a group holds for
//! reading, so that it waits only while a key is destroyed. Everything runs over `dyn log::Storage`, and time is handed in, so
//! that the tests run the whole of it on memory, crash it at every operation, and start it again.
//!
//! What holds, whatever happens:
//! 1. An answer follows the fsync of the batch that holds the span ([`stream`]).
//! 2. An index is signed once. A group that could not be written ends its epoch: its bytes are written again elsewhere by
//!    the log, or the process stops ([`stream`], [`epoch`]).
//! 3. A root leaf is durable before the opening that quotes it, and a closing is durable before the root leaf that says so
//!    ([`epoch`]).
//! 4. Start-up is the only recovery: a crash anywhere, in start-up too, is followed by the same steps ([`start`]).
//! 5. Nothing that can fail stands between a span's entry in the retry window and the commit: what may fail (disk space,
//!    subjects' keys) comes before the first span of a group.
//! 6. A subject's key is destroyed before the ledger says so, and the ledger says so, whatever happens in between
//!    ([`deeds`]).

mod changes;
mod checkpoints;
mod conflict;
mod conflicts;
mod cutting;
mod deeds;
mod durable;
mod engine;
mod epoch;
mod fingerprint;
mod first;
mod full;
mod gate;
mod ground;
mod group;
mod intake;
mod keep_out;
mod keys;
mod lines;
mod measures;
mod moment;
mod nonces;
mod orders;
mod parcel;
mod past;
pub mod payloads;
mod pen;
mod recall;
mod references;
mod rejection;
mod root;
mod scanner;
mod split;
mod start;
mod stream;
pub mod subjects;
mod thread;
mod version;
mod window;

pub use changes::Changes;
pub use conflict::CONFLICTS_NOT_SEALED;
pub use durable::Durable;
pub use engine::{Engine, Sealing, free_bytes_to_start, open, run};
pub use group::SPANS_REFUSED;
pub use orders::{Done, HOLD_PLACED, HOLD_RELEASED, Order, Orders, Refused};
pub use past::Unsound;
pub use root::RootError;
pub use start::StartError;
pub(crate) use stream::STAGE;
pub use stream::{DISK_FULL, STREAMS_MAX, StreamError};

#[cfg(test)]
mod tests;
