//! Receive, assess, seal, publish, forward.
