//! The whole engine on memory: crashed at every operation, started again, and verified.

mod batching;
mod conflicts;
mod crash;
mod engine;
mod erasing;
mod faults;
mod full;
mod lifecycle;
mod requests;
mod scanning;
mod streams;
mod tamper;
mod verdict;
mod world;
