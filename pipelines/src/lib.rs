//! Consume, check, store; read back.
