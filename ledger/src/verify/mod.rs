//! Verification (format.md section 14).

mod fault;

pub use fault::{Class, Code, Detail, Fault};
