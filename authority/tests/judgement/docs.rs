//! Compares docs/claims.md with the code.
