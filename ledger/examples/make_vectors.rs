//! Writes `ledger/vectors/`: one file, one verdict. The same bytes every time.
//!
//! With the argument `find-colliding-keys` it searches for two checkpoint keys with the same 4-byte key id instead.

use std::collections::HashMap;
use std::path::Path;
use std::{fs, io};

use spanseal_ledger::key::Signer;
use spanseal_ledger::{Deployment, StreamId};

#[path = "../tests/corpus/mod.rs"]
mod corpus;

fn main() -> io::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("find-colliding-keys") {
        find_colliding_keys();
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            fs::remove_file(path)?;
        }
    }
    let vectors = corpus::vectors();
    for vector in &vectors {
        fs::write(folder.join(format!("{}.json", vector.name)), vector.to_json())?;
    }
    fs::write(folder.join("README.md"), corpus::readme(&vectors))?;
    println!("{} vectors", vectors.len());
    Ok(())
}

/// A birthday search: among 2^16 keys two agree in four bytes with probability 0.4, among 2^18 almost surely.
fn find_colliding_keys() {
    let origin = Deployment::new(corpus::world::NAME).expect("a valid name").stream_origin(&StreamId([1; 16]));
    let mut seen = HashMap::new();
    for number in 0..u32::MAX {
        let label = format!("collision {number}");
        let id = corpus::world::key(&label).public().id(&origin).note_id();
        if let Some(other) = seen.insert(id, number) {
            println!("\"collision {other}\", \"{label}\"");
            return;
        }
    }
}
