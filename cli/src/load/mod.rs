//! `spanseal load`: sends realistic agent spans and reports what was acknowledged, how fast, and at what cost to the server.

mod client;
mod meter;
mod template;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use client::{Answer, Coding, Connection, Protocol};
use meter::{Process, Sent, Tally};
use template::{Encoding, Kind, Mix, Template};

/// Send realistic GenAI agent spans over OTLP and report acknowledged spans a second, latencies and errors.
///
/// Closed loop by default: every connection keeps its requests in flight. With --rate the loop is open: requests are due
/// at fixed times, and a late answer counts from the time at which its request was due.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spanseal load                                        one million spans to 127.0.0.1:4317
  spanseal load --rate 50000 --seconds 30 --pid 1234   open loop, and what it costs process 1234
  spanseal load --protocol http --batch 64 --connections 32
  spanseal load --mix heavy-tail --compression gzip    a few spans of megabytes, compressed")]
pub(crate) struct Load {
    /// Where the spans go: host and port.
    #[arg(long, default_value = "127.0.0.1:4317", value_name = "HOST:PORT")]
    to: String,
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,
    /// How requests are compressed.
    #[arg(long, value_enum, default_value = "none")]
    compression: Coding,
    /// How large spans are.
    #[arg(long, value_enum, default_value = "usual")]
    mix: Mix,
    /// Connections to open.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests in flight on each connection (HTTP/1.1 has one).
    #[arg(long, default_value_t = 4)]
    in_flight: usize,
    /// Spans in one request.
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Spans to send; with --seconds, at most.
    #[arg(long, default_value_t = 1_000_000)]
    spans: u64,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Spans a second (open loop).
    #[arg(long)]
    rate: Option<u64>,
    /// Keep on over broken connections and retryable answers, for as long as this many seconds.
    #[arg(long, default_value_t = 30)]
    patience_seconds: u64,
    /// Take "try again later" for an answer, and count it: what a server does with more than it can take.
    #[arg(long)]
    give_up: bool,
    /// Number of this run: makes its trace and span ids.
    #[arg(long)]
    run: Option<u64>,
    /// Report CPU time and peak memory of this process (the server, on this machine).
    #[arg(long)]
    pid: Option<u32>,
    /// Write the id of every acknowledged span to this file, in hex, a line each.
    #[arg(long, value_name = "FILE")]
    acknowledged: Option<PathBuf>,
    #[command(flatten)]
    output: crate::output::Output,
}

/// What the workers share.
struct Shared {
    load: Load,
    run: u64,
    templates: Vec<Template>,
    next_request: AtomicU64,
    requests: u64,
    started: Instant,
    acknowledged: Option<std::sync::Mutex<std::fs::File>>,
}

/// Runs the load and prints its figures.
///
/// # Errors
/// When the server cannot be reached at the start, or a file cannot be written.
pub(crate) async fn run(load: Load) -> anyhow::Result<std::process::ExitCode> {
    ensure!(
        load.batch > 0 && load.connections > 0 && load.in_flight > 0,
        "--batch, --connections and --in-flight start at 1"
    );
    let shared = Arc::new(Shared::new(load)?);
    let process = shared.load.pid.map(Process::watch).transpose()?;
    let mut workers = JoinSet::new();
    for _ in 0..shared.load.connections {
        let connection = shared.load.connect().await?;
        let in_flight = if shared.load.protocol == Protocol::Grpc { shared.load.in_flight } else { 1 };
        for _ in 0..in_flight {
            workers.spawn(work(Arc::clone(&shared), connection.clone()));
        }
    }
    let mut tally = Tally::default();
    while let Some(worker) = workers.join_next().await {
        tally.add(worker?);
    }
    let elapsed = shared.started.elapsed();
    let sent = Sent {
        seconds: elapsed.as_secs_f64(),
        request_bytes: shared.mean(Template::len),
        span_bytes: shared.mean(Template::span_bytes) / shared.load.batch as f64,
    };
    let figures = tally.figures(sent, process.map(Process::finish).transpose()?);
    shared.load.output.print(&figures, |figures, out| figures.write(out))?;
    let complete = figures.errors == 0 && figures.rejected_spans == 0;
    Ok(if complete { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::from(1) })
}

impl Load {
    async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.protocol, self.compression, &self.to).await
    }
}

impl Shared {
    fn new(load: Load) -> anyhow::Result<Self> {
        let encoding = if load.protocol == Protocol::Json { Encoding::Json } else { Encoding::Protobuf };
        let kind = Kind { spans: load.batch, mix: load.mix, encoding };
        let templates = (0..TEMPLATES).map(|seed| Template::new(kind, seed)).collect::<Result<_, _>>()?;
        let acknowledged = match &load.acknowledged {
            Some(path) => {
                let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
                Some(std::sync::Mutex::new(file))
            }
            None => None,
        };
        let requests = load.spans.div_ceil(load.batch as u64);
        let run = load.run.unwrap_or(now_unix_nano() >> 10);
        Ok(Self {
            load,
            run,
            templates,
            next_request: AtomicU64::new(0),
            requests,
            started: Instant::now(),
            acknowledged,
        })
    }

    /// Returns the mean of what the templates have of something.
    fn mean(&self, of: impl Fn(&Template) -> usize) -> f64 {
        self.templates.iter().map(of).sum::<usize>() as f64 / self.templates.len() as f64
    }

    /// Returns the next request's number and when it is due, or nothing when the run is over.
    fn next(&self) -> Option<(u64, Instant)> {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed);
        let due = match self.load.rate {
            Some(rate) => {
                self.started + Duration::from_secs_f64((number * self.load.batch as u64) as f64 / rate.max(1) as f64)
            }
            None => Instant::now(),
        };
        let over = self.load.seconds.is_some_and(|seconds| due >= self.started + Duration::from_secs(seconds));
        (number < self.requests && !over).then_some((number, due))
    }

    /// Writes a request's span ids at once, so that whoever reads the file sees whole requests that were acknowledged.
    fn record_acknowledged(&self, number: u64, template: &Template) -> anyhow::Result<()> {
        let Some(file) = &self.acknowledged else { return Ok(()) };
        let first = number * self.load.batch as u64;
        let mut lines = String::with_capacity(template.spans() * 17);
        for span in 0..template.spans() as u64 {
            let id = u64::from_be_bytes(template::span_id(self.run, first + span));
            writeln!(lines, "{id:016x}")?;
        }
        let mut file =
            file.lock().map_err(|_| anyhow::anyhow!("another worker stopped while it wrote the acknowledged ids"))?;
        Ok(file.write_all(lines.as_bytes())?)
    }
}

/// One worker: takes request after request until the run is over.
async fn work(shared: Arc<Shared>, mut connection: Connection) -> Tally {
    let mut tally = Tally::default();
    while let Some((number, due)) = shared.next() {
        if shared.load.rate.is_some() {
            tokio::time::sleep_until(due.into()).await;
        }
        let template = &shared.templates[(number % TEMPLATES) as usize];
        let mut request = Vec::with_capacity(template.len());
        template.write(&mut request, shared.run, number * shared.load.batch as u64, now_unix_nano());
        let spans = template.spans() as u64;
        let delivered = async {
            let request = connection.encode(request)?;
            deliver(&shared, &mut connection, request, &mut tally).await
        };
        match delivered.await {
            Ok(None) => tally.given_up_spans += spans,
            Ok(Some(rejected)) => {
                tally.accepted(spans - rejected.min(spans), rejected, due.elapsed());
                if let Err(error) = shared.record_acknowledged(number, template) {
                    tally.failed(error);
                }
            }
            Err(error) => tally.failed(error),
        }
    }
    tally
}

/// Sends until the server takes or refuses the request, the same bytes each time; returns the spans it rejected, or nothing
/// when it was given up.
async fn deliver(
    shared: &Shared,
    connection: &mut Connection,
    request: Bytes,
    tally: &mut Tally,
) -> anyhow::Result<Option<u64>> {
    let patience = Instant::now() + Duration::from_secs(shared.load.patience_seconds);
    let mut pause = Duration::from_millis(50);
    loop {
        let wait = match connection.send(request.clone()).await {
            Ok(Answer::Accepted { rejected_spans }) => return Ok(Some(rejected_spans)),
            Ok(Answer::Refused(why)) => anyhow::bail!(why),
            Ok(Answer::Retry(after)) => {
                tally.retries += 1;
                if shared.load.give_up {
                    return Ok(None);
                }
                ensure!(
                    Instant::now() < patience,
                    "the server refused for {} s (--patience-seconds)",
                    shared.load.patience_seconds
                );
                after.unwrap_or(pause)
            }
            Err(error) => {
                tally.reconnects += 1;
                if Instant::now() >= patience {
                    return Err(
                        error.context(format!("no answer for {} s (--patience-seconds)", shared.load.patience_seconds))
                    );
                }
                if let Ok(fresh) = shared.load.connect().await {
                    *connection = fresh;
                }
                pause
            }
        };
        tokio::time::sleep(wait.min(Duration::from_secs(2))).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn now_unix_nano() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// So many that one in them has a span of 1, 2 and 4 MB each, in the mix that has them.
const TEMPLATES: u64 = 24;
