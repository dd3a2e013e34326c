//! A cursor over the log that passes the sealed spans on, marked, to a backend over OTLP.

mod answer;
mod backoff;
mod client;
mod settings;

pub use settings::{Backend, Protocol};
