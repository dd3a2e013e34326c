//! As whom the collector knows the program: a key that its configuration names, or one that it enrols.

mod endpoint;
mod enrolment;
mod proof;
mod token;

pub(crate) use endpoint::{EndpointError, base};
pub(crate) use enrolment::Enrolment;
pub use proof::{Credential, Identity, IdentityError, Proof};
pub use token::{GitHubOidc, TokenFile};
