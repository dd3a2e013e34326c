//! The lane: a queue with room for evidence, and one task that sends what waits until it is taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::spool::{Left, Spool};
use super::{SendError, Sender};

/// Whether the collector has a record: the reason where it does not.
pub(crate) type Confirmed = oneshot::Receiver<Result<(), String>>;

/// The way into the lane.
#[derive(Debug)]
pub(crate) struct Lane {
    queue: mpsc::Sender<Item>,
    spool: Option<Arc<Spool>>,
    counts: Arc<Counts>,
    /// After this moment nothing is tried again.
    until: watch::Sender<Option<Instant>>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// What became of the lane's spans.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) exported: AtomicU64,
    pub(crate) lost: AtomicU64,
    /// Not sent, and in the spool.
    pub(crate) spooled: AtomicU64,
    /// Lost, when it was last asked.
    told: AtomicU64,
    /// Not in the spool, since the disk refused them; told by the worker, since whoever takes spans must not log.
    unspooled: AtomicU64,
}

enum Item {
    Span(Bytes, Option<oneshot::Sender<Result<(), String>>>),
    Flush(oneshot::Sender<()>),
}

impl Lane {
    /// Starts the lane's task on this runtime; it ends when the lane is dropped.
    pub(crate) fn start(runtime: &tokio::runtime::Handle, sender: Sender, spool: Option<(Spool, Vec<Left>)>) -> Self {
        let (queue, items) = mpsc::channel(QUEUE_SPANS);
        let (until, deadline) = watch::channel(None);
        let counts = Arc::<Counts>::default();
        let (spool, left) = match spool {
            Some((spool, left)) => (Some(Arc::new(spool)), left),
            None => (None, Vec::new()),
        };
        let worker = Worker { sender, items, counts: counts.clone(), deadline, spool: spool.clone() };
        let task = runtime.spawn(worker.run(left));
        Self { queue, spool, counts, until, task: Mutex::new(Some(task)) }
    }

    /// Takes a request of one span, and tells `confirm` what became of it. Never waits: what there is no room for is in
    /// the spool, or lost and counted.
    pub(crate) fn take(&self, request: Bytes, confirm: Option<oneshot::Sender<Result<(), String>>>) {
        let (mut full, item) = (None, Item::Span(request.clone(), confirm));
        let queue = || full = self.queue.try_send(item).err();
        let spooled = match &self.spool {
            None => {
                queue();
                false
            }
            Some(spool) => spool.add(&request, queue).is_ok(),
        };
        if self.spool.is_some() && !spooled {
            self.counts.unspooled.fetch_add(1, Ordering::Relaxed);
        }
        let Some(full) = full else { return };
        let count = if spooled { &self.counts.spooled } else { &self.counts.lost };
        count.fetch_add(1, Ordering::Relaxed);
        if let Item::Span(_, Some(confirm)) = full.into_inner() {
            // Whoever waited may have gone.
            let _ = confirm.send(Err("too much evidence waits to be sent".to_owned()));
        }
    }

    /// Returns once everything that was taken before is sent or given up.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    /// Lets nothing be tried again after this moment.
    pub(crate) fn give_up_at(&self, moment: Instant) {
        self.until.send_replace(Some(moment));
    }

    /// Returns whether anything was lost since this was last asked.
    pub(crate) fn lost_some(&self) -> bool {
        let lost = self.counts.lost.load(Ordering::Relaxed);
        self.counts.told.swap(lost, Ordering::Relaxed) != lost
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Ends the task, which has nothing more to do.
    pub(crate) fn end(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        if let Some(spool) = self.spool.as_ref().filter(|_| self.counts.spooled.load(Ordering::Relaxed) == 0) {
            // What remains is sent again at the next start, and recognised.
            let _ = spool.remove();
        }
    }
}

struct Worker {
    sender: Sender,
    items: mpsc::Receiver<Item>,
    counts: Arc<Counts>,
    deadline: watch::Receiver<Option<Instant>>,
    spool: Option<Arc<Spool>>,
}

/// What is sent at once.
#[derive(Default)]
struct Batch {
    bytes: BytesMut,
    spans: u64,
    confirm: Vec<oneshot::Sender<Result<(), String>>>,
    flush: Option<oneshot::Sender<()>>,
}

impl Worker {
    async fn run(mut self, left: Vec<Left>) {
        for left in left {
            self.drain(&left).await;
        }
        while let Some(first) = self.items.recv().await {
            let batch = self.batch(first);
            if batch.spans > 0 {
                self.sync();
                let sent = self.send(batch.bytes.freeze()).await;
                self.account(batch.spans, sent.as_ref());
                for confirm in batch.confirm {
                    // Whoever waited may have gone.
                    let _ = confirm.send(confirmation(sent.as_ref()));
                }
                self.clear();
            }
            if let Some(flush) = batch.flush {
                let _ = flush.send(());
            }
        }
    }

    /// Sends what an earlier process left, until it is taken or nothing may be tried again. What is never taken is put
    /// aside.
    async fn drain(&mut self, left: &Left) {
        let mut refused = None;
        for records in left.records.chunks(BATCH_SPANS) {
            let request: BytesMut = records.iter().flat_map(|record| record.iter().copied()).collect();
            match self.send(request.freeze()).await {
                Ok((0, _)) => {}
                Ok((_, why)) | Err(SendError::Refused(why)) => refused = Some(why),
                Err(SendError::Retry(_)) => return, // the file stays
            }
        }
        let file = left.path.display();
        let done = match refused {
            None => left.remove(),
            Some(why) => left.put_aside().map(|aside| {
                let aside = aside.display();
                tracing::error!(%aside, why, "the collector refuses evidence of an earlier process, which is kept aside");
            }),
        };
        if let Err(error) = done {
            tracing::warn!(%file, %error, "a spool that was sent cannot be removed, and is sent again at the next start");
        }
    }

    /// Collects what waits, up to the size of a batch or the next flush.
    fn batch(&mut self, first: Item) -> Batch {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Span(request, confirm) => {
                    // Requests put one after the other are one: a repeated field goes on.
                    batch.bytes.extend_from_slice(&request);
                    batch.spans += 1;
                    batch.confirm.extend(confirm);
                }
                Item::Flush(flush) => {
                    batch.flush = Some(flush);
                    break;
                }
            }
            let has_room = batch.spans < BATCH_SPANS as u64 && batch.bytes.len() < BATCH_BYTES;
            next = if has_room { self.items.try_recv().ok() } else { None };
        }
        batch
    }

    /// Sends until the request is taken, refused for good, or nothing may be tried again.
    async fn send(&mut self, request: Bytes) -> Result<(u64, String), SendError> {
        let mut pause = PAUSE_FIRST;
        loop {
            let mut deadline = self.deadline.clone();
            let tried = tokio::select! {
                tried = self.sender.send(request.clone()) => tried,
                () = passed(&mut deadline) => Err(SendError::Retry("the program ends".to_owned())),
            };
            let Err(SendError::Retry(why)) = tried else { return tried };
            let mut deadline = self.deadline.clone();
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_LAST),
                () = passed(&mut deadline) => return Err(SendError::Retry(why)),
            }
        }
    }

    fn account(&self, spans: u64, sent: Result<&(u64, String), &SendError>) {
        let (exported, lost, spooled) = match sent {
            Ok((rejected, why)) => {
                let rejected = (*rejected).min(spans);
                if rejected > 0 {
                    tracing::error!(rejected, why, "the collector rejected evidence");
                }
                (spans - rejected, rejected, 0)
            }
            Err(SendError::Retry(_)) if self.spool.is_some() => (0, 0, spans),
            Err(error) => {
                tracing::error!(spans, %error, "evidence was not taken by the collector");
                (0, spans, 0)
            }
        };
        self.counts.exported.fetch_add(exported, Ordering::Relaxed);
        self.counts.lost.fetch_add(lost, Ordering::Relaxed);
        self.counts.spooled.fetch_add(spooled, Ordering::Relaxed);
    }

    fn sync(&self) {
        let unspooled = self.counts.unspooled.swap(0, Ordering::Relaxed);
        if unspooled > 0 {
            tracing::error!(unspooled, "evidence could not be spooled, and waits in memory alone; look at the disk");
        }
        if let Some(Err(error)) = self.spool.as_ref().map(|spool| spool.sync()) {
            tracing::warn!(%error, "the spool cannot be synced");
        }
    }

    /// Empties the spool when nothing waits that it holds.
    fn clear(&self) {
        let waits = || !self.items.is_empty() || self.counts.spooled.load(Ordering::Relaxed) > 0;
        if let Some(spool) = &self.spool
            && let Err(error) = spool.clear(waits)
        {
            tracing::warn!(%error, "the spool cannot be emptied");
        }
    }
}

fn confirmation(sent: Result<&(u64, String), &SendError>) -> Result<(), String> {
    match sent {
        Ok((0, _)) => Ok(()),
        Ok((_, why)) => Err(format!("it was rejected: {why}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns once nothing may be tried again.
async fn passed(deadline: &mut watch::Receiver<Option<Instant>>) {
    let moment = match deadline.wait_for(Option::is_some).await {
        Ok(moment) => *moment,
        Err(_) => None, // the lane is gone
    };
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}

/// Spans that may wait.
const QUEUE_SPANS: usize = 16_384;
const BATCH_SPANS: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(5);
