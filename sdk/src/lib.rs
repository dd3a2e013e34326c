//! How a program says who acted: provenance for tracing and OpenTelemetry.
//!
//! Spans are made with ordinary `tracing` macros and leave over OTLP. This crate adds who acted and for whom, signed by
//! the program's own key, and the approval of the action: on every tool call and agent invocation by itself, and on what
//! runs through [`action`] with all that was said about it.
//!
//! ```no_run
//! # async fn rotate() -> Result<(), Box<dyn std::error::Error>> { Ok(()) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let spanseal = spanseal::init()
//!     .service("deploy-agent")
//!     .audience("acme.example/agents")
//!     .key(spanseal::Key::file("agent.key")?)
//!     .actor(spanseal::Actor::agent("spiffe://acme.example/agent/deployer").on_behalf_of("alice@acme.example"))
//!     .install()?;
//!
//! let approvals = spanseal::Approvals::file("approvals.json")?;
//! let rotate = spanseal::action("secret.rotate").target("vault:prod/billing-db").tool("rotate_secret");
//! match approvals.find(&rotate) {
//!     Some(approval) => rotate.approved_by(approval).run(async { rotate_the_secret().await }).await?,
//!     None => eprintln!("not approved"),
//! }
//! # async fn rotate_the_secret() -> Result<(), Box<dyn std::error::Error>> { Ok(()) }
//!
//! let report = spanseal.shutdown().await;
//! println!("{} spans exported, {} lost", report.exported, report.lost);
//! # Ok(()) }
//! ```
//!
//! Nothing here decides whether an action may run: an action without a fitting approval runs and is recorded as what it
//! is. What cannot be recorded does not run.
#![deny(missing_docs)]

mod action;
mod actor;
mod adapter;
pub mod approval;
mod builder;
mod guard;
mod key;
mod layer;
mod mirror;
mod producer;

pub use action::{Action, Refused, action};
pub use actor::{Actor, Initiator};
pub use approval::{Approval, Approvals};
pub use builder::{Builder, InitError, init};
pub use guard::{Guard, Report};
pub use key::{Key, KeyFileError};
