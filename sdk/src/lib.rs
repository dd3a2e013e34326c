//! How a program says who acted: provenance for tracing and OpenTelemetry.
//!
//! Spans are made with ordinary `tracing` macros and leave over OTLP. This crate adds who acted and for whom, signed by
//! the program's own key, on every tool call and agent invocation by itself; and lets an action run only with leave.
//!
//! ```no_run
//! # async fn rotate_the_secret() -> Result<(), Box<dyn std::error::Error>> { Ok(()) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let spanseal = spanseal::init()
//!     .service("deploy-agent")
//!     .audience("acme.example/agents")
//!     .key(spanseal::Key::file("agent.key")?)
//!     .actor(spanseal::Actor::agent("spiffe://acme.example/agent/deployer").on_behalf_of("alice@acme.example"))
//!     .approvals(spanseal::Approvals::file("approvals.json")?)
//!     .approvers(spanseal::Approvers::file("approvers.json")?)
//!     .install()?;
//!
//! let rotate = spanseal::action("secret.rotate").target("vault:prod/billing-db").tool("rotate_secret");
//! let clearance = spanseal::authorize(rotate).await?;
//! clearance.run(rotate_the_secret()).await?;
//!
//! let report = spanseal.shutdown().await;
//! println!("{} spans exported, {} lost", report.exported, report.lost);
//! # Ok(()) }
//! ```
//!
//! The decision is a span of its own that has ended before the action starts, so that a crash does not take it along; a
//! refusal is on record too. What cannot be recorded does not run.
#![deny(missing_docs)]

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod action;
mod actor;
pub mod approval;
mod authorize;
mod builder;
mod clearance;
mod delivery;
mod guard;
mod hex;
mod http;
pub mod identity;
mod key;
mod layer;
mod mirror;
mod otel;
pub mod policy;
mod producer;
pub mod propagate;
mod random;
mod runtime;
mod sdk;
pub mod testing;

pub use action::{Action, action};
pub use actor::{Actor, Initiator};
pub use approval::{Approval, Approvals, Approvers};
pub use authorize::{Refused, authorize};
pub use builder::{Builder, InitError, init};
pub use clearance::{Clearance, Outcome, Running};
pub use delivery::Durability;
pub use guard::{Guard, Report};
pub use key::{Key, KeyFileError};
pub use propagate::{inject, inject_meta, spawn, spawn_blocking};
pub use runtime::Runtime;

/// Makes an async function a governed tool: each call asks for leave, and runs only with it.
///
/// ```
/// #[derive(Debug, thiserror::Error)]
/// enum RotateError {
///     #[error(transparent)]
///     Refused(#[from] spanseal::Refused),
/// }
///
/// #[spanseal::tool(kind = "secret.rotate", target = "vault:prod/{account}", skip(password), reveal(account))]
/// async fn rotate_secret(account: &str, length: u32, password: &str) -> Result<(), RotateError> {
///     Ok(())
/// }
/// ```
///
/// Settings, all optional: `kind`, the action's type (`execute_tool`); `name`, the tool's name (the function's);
/// `target`, `because`, `ticket`, `change`, `incident`, `playbook` and `task`, format strings over the arguments;
/// `skip(...)`, arguments that are not digested, such as handles; `reveal(...)`, arguments that are shown in the clear.
/// All others leave the process as a salted digest only, and have to be `Serialize`. `self` is left aside.
pub use spanseal_macros::tool;
