//! A cursor over the log that passes the sealed spans on, marked, to a backend over OTLP.
#![allow(dead_code, reason = "the rest waits for crate::seal to be published")]

mod answer;
mod backoff;
mod client;
mod counts;
mod deliver;
mod marks;
mod settings;
mod shipment;

pub use settings::{Backend, Protocol};
