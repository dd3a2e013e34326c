//! The program as its users have it: a process, its output, its exit codes, its data directory.

mod crash;
mod docs;
mod server;
mod usage;
