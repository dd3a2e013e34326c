//! The log under failing writes, crashes, flipped bits and concurrent readers; in memory and on a real disk.

mod disk;
mod faults;
mod files;
mod flips;
mod live;
mod random;
mod reading;
mod support;
