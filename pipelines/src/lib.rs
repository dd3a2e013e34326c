//! Consume, check, store; read back.

pub mod check;
pub mod facet;
pub mod find;
mod hex;
pub mod index;
mod payload;
pub mod printed;
pub mod subject;
pub mod why;
mod words;
