//! Receive, assess, seal, publish, forward.

pub mod config;
pub mod forward;
pub mod intake;
pub mod receive;
pub mod seal;
pub mod serve;
mod server;
mod stages;
