//! Carries trace, actor, tool path and leave along: to other tasks and threads, and to other processes.

mod carry;
mod gate;
mod spawn;

pub(crate) use carry::CurrentLeave;
pub use carry::{HEADER, Incoming, META, Propagator, extract, extract_meta, inject, inject_meta};
pub use gate::{Admitted, Callers, Gate, NotAdmitted};
pub use spawn::{spawn, spawn_blocking};
