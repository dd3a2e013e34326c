//! What makes it authorised: claims, grades, verdicts.
//!
//! ```text
//! span's attributes --classify--> an action? governed? --claims--> signed, bound to this span?
//!     --parties, approval, mirrors--> a grade per claim and reasons --profile--> verdict
//! ```
#![deny(missing_docs)]

pub mod action;
pub mod approval;
pub mod claims;
pub mod config;
pub mod json;
pub mod jws;
pub mod key;
mod members;
pub mod reason;

pub use config::Config;
pub use members::{MemberError, is_text};
pub use reason::Reason;
