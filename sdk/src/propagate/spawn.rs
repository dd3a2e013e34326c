//! Tasks and threads of the same process.

use std::future::Future;

use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// Spawns a task that keeps the trace, the actor and the tool path of where it was spawned, which `tokio::spawn` drops.
///
/// # Panics
/// Outside of a tokio runtime, as `tokio::spawn`.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // In this order: entering the tracing span attaches the context that the span was made in, and the current one has
    // to win, or a sub-agent's task would act as its parent.
    tokio::spawn(future.with_context(Context::current()).instrument(Span::current()))
}

/// Runs `work` on a thread for blocking work, likewise.
///
/// # Panics
/// Outside of a tokio runtime, as `tokio::task::spawn_blocking`.
pub fn spawn_blocking<T, F>(work: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (span, context) = (Span::current(), Context::current());
    tokio::task::spawn_blocking(move || {
        span.in_scope(|| {
            let _in_context = context.attach();
            work()
        })
    })
}
