//! Waits until any of several streams has more that is durable.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::watch;

use super::durable::Durable;

/// The streams that are being written.
pub struct Changes(Vec<watch::Receiver<Durable>>);

impl Changes {
    pub fn new(durable: impl IntoIterator<Item = watch::Receiver<Durable>>) -> Self {
        Self(durable.into_iter().collect())
    }

    /// Returns true when any stream has more since the last call, false once nobody writes any of them.
    pub async fn wait(&mut self) -> bool {
        loop {
            if self.0.is_empty() {
                return false;
            }
            match first_change(&mut self.0).await {
                Ok(()) => return true,
                Err(ended) => drop(self.0.swap_remove(ended)),
            }
        }
    }
}

/// Waits for the first to change; the error is the place of one that ended.
async fn first_change(receivers: &mut [watch::Receiver<Durable>]) -> Result<(), usize> {
    type Wait<'a> = Pin<Box<dyn Future<Output = Result<(), watch::error::RecvError>> + Send + 'a>>;
    let mut waits: Vec<Wait<'_>> =
        receivers.iter_mut().map(|receiver| Box::pin(receiver.changed()) as Wait<'_>).collect();
    poll_fn(|context| {
        for (place, wait) in waits.iter_mut().enumerate() {
            if let Poll::Ready(changed) = wait.as_mut().poll(context) {
                return Poll::Ready(changed.map_err(|_| place));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use spanseal_ledger::StreamId;

    use super::*;

    fn durable(size: u64) -> Durable {
        Durable { stream: StreamId([1; 16]), size, root: [0; 32] }
    }

    #[tokio::test]
    async fn sees_a_change_of_any_stream_and_the_end_of_all() {
        let (first, first_end) = watch::channel(durable(0));
        let (second, second_end) = watch::channel(durable(0));
        let mut changes = Changes::new([first_end, second_end]);
        second.send(durable(1)).unwrap();
        assert!(changes.wait().await);
        drop(second);
        first.send(durable(2)).unwrap();
        assert!(changes.wait().await);
        drop(first);
        assert!(!changes.wait().await);
    }
}
