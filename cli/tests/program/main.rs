//! The program as its users have it: a process, its output, its exit codes, its data directory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod agents;
mod bench;
mod crash;
mod docs;
mod erase;
mod ledger;
mod load;
mod pins;
mod release;
mod server;
mod shutdown;
mod terminal;
mod upgrade;
mod usage;
