//! The log under failing writes, crashes, flipped bits and concurrent readers; in memory and on a real disk.

#![expect(clippy::unwrap_used, reason = "what a test unwraps is what it checks")]

mod disk;
mod faults;
mod files;
mod flips;
mod live;
mod random;
mod reading;
mod support;
