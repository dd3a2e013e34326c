//! Carries trace, actor and tool path along: to other tasks and threads, and to other processes.

mod spawn;

pub use spawn::{spawn, spawn_blocking};
