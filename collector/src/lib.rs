//! Receive, assess, seal, publish, forward.

pub mod intake;
pub mod serve;
