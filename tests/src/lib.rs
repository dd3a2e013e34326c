//! What needs two crates or a real component.
