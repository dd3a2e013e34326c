//! What makes it authorised: claims, grades, verdicts.
#![deny(missing_docs)]

pub mod action;
pub mod json;
pub mod jws;
pub mod key;
