//! The vectors: small logs with fixed keys and times, each with one thing done to it, and the verdict that it must get.
//!
//! `cargo run -p spanseal-ledger --example make_vectors` writes them to `ledger/vectors/`; the test `vectors` makes them
//! again and compares.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "compiled into the tests and the example, which use different parts"
)]

mod anchors;
mod blind;
mod case;
mod epochs;
mod forge;
mod insider;
mod json;
mod notes;
mod proofs;
mod readme;
mod root_log;
mod root_rules;
pub mod scalar;
mod torsion;
pub mod vector;
pub mod world;

pub use forge::{Forged, open_all, reseal, write_all};
pub use readme::{is_elsewhere, readme};
pub use root_log::COLLIDING;
pub use vector::{Expect, Input, LogInput, Vector};

/// Every vector.
pub fn vectors() -> Vec<Vector> {
    let groups = [
        anchors::vectors(),
        blind::vectors(),
        insider::vectors(),
        epochs::vectors(),
        root_log::vectors(),
        torsion::vectors(),
        root_rules::vectors(),
        notes::vectors(),
        proofs::vectors(),
    ];
    groups.into_iter().flatten().collect()
}

/// The honest log that most vectors change, as a case.
pub fn base() -> case::Case {
    case::Case::base()
}
