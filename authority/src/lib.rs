//! What makes it authorised: claims, grades, verdicts.
//!
//! ```text
//! span's attributes --classify--> an action? governed? --claims--> signed, bound to this span?
//!     --parties, approval, mirrors--> a grade per claim and reasons --profile--> verdict
//! ```
//! No I/O and no clock: the same span and the same configuration give the same judgement, now and offline.
#![deny(missing_docs)]

pub mod action;
pub mod approval;
pub mod asking;
mod assess;
mod assessed;
mod authority;
pub mod call;
pub mod claims;
mod classify;
pub mod closing;
pub mod config;
pub mod end;
pub mod json;
pub mod jws;
pub mod key;
mod members;
pub mod mirrors;
mod observed;
pub mod reason;
pub mod receipt;

pub use assessed::{Assessed, CLAIMS, Grades};
pub use authority::Authority;
pub use classify::Action;
pub use config::Config;
pub use members::{MemberError, is_text};
pub use observed::{Attributes, Observed};
pub use reason::Reason;
