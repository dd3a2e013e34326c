//! Receive, assess, seal, publish, forward.

pub mod agents;
pub mod config;
pub mod control;
pub mod forward;
pub mod intake;
pub mod receive;
mod running;
pub mod seal;
pub mod serve;
mod server;
pub mod signal;
mod stages;
mod text;

pub use running::{Addresses, Running, start};
pub use server::BindError;
