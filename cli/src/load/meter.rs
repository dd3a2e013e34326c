//! What a load run counts, and what the watched server process spent on it.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::text::printable;

/// Counts of one worker; summed at the end.
#[derive(Default)]
pub(crate) struct Tally {
    acknowledged_spans: u64,
    rejected_spans: u64,
    pub(crate) retries: u64,
    pub(crate) reconnects: u64,
    /// In requests that the server put off and that were not sent again.
    pub(crate) given_up_spans: u64,
    errors: u64,
    first_error: Option<String>,
    latencies_micros: Vec<u32>,
}

impl Tally {
    pub(crate) fn accepted(&mut self, spans: u64, rejected: u64, latency: Duration) {
        self.acknowledged_spans += spans;
        self.rejected_spans += rejected;
        self.latencies_micros.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn failed(&mut self, error: anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.acknowledged_spans += other.acknowledged_spans;
        self.rejected_spans += other.rejected_spans;
        self.retries += other.retries;
        self.reconnects += other.reconnects;
        self.given_up_spans += other.given_up_spans;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latencies_micros.extend(other.latencies_micros);
    }

    /// Returns the figures of a run.
    pub(crate) fn figures(mut self, sent: Sent, server: Option<Spent>) -> Figures {
        self.latencies_micros.sort_unstable();
        let at = |share: f64| {
            let last = self.latencies_micros.len().saturating_sub(1);
            self.latencies_micros
                .get((last as f64 * share).round() as usize)
                .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
        };
        let millions = self.acknowledged_spans as f64 / 1e6;
        Figures {
            acknowledged_spans: self.acknowledged_spans,
            acknowledged_spans_per_second: (self.acknowledged_spans as f64 / sent.seconds).round(),
            seconds: sent.seconds,
            request_bytes: sent.request_bytes.round(),
            span_bytes: sent.span_bytes.round(),
            latency_ms: Latency { p50: at(0.50), p90: at(0.90), p99: at(0.99), max: at(1.0) },
            rejected_spans: self.rejected_spans,
            retries: self.retries,
            reconnects: self.reconnects,
            given_up_spans: self.given_up_spans,
            errors: self.errors,
            first_error: self.first_error,
            load_average: load_average(),
            server_cpu_seconds_per_million_spans: server.as_ref().map(|spent| spent.cpu_seconds / millions),
            server_peak_memory_bytes: server.map(|spent| spent.peak_memory_bytes),
        }
    }
}

/// What a run sent.
pub(crate) struct Sent {
    pub(crate) seconds: f64,
    /// Of one request on average.
    pub(crate) request_bytes: f64,
    /// Of one span on average.
    pub(crate) span_bytes: f64,
}

/// The figures of one run.
#[derive(Serialize)]
pub(crate) struct Figures {
    acknowledged_spans: u64,
    acknowledged_spans_per_second: f64,
    seconds: f64,
    /// Before compression, on average.
    request_bytes: f64,
    /// Of one span in protobuf, on average.
    span_bytes: f64,
    latency_ms: Latency,
    pub(crate) rejected_spans: u64,
    retries: u64,
    reconnects: u64,
    given_up_spans: u64,
    pub(crate) errors: u64,
    first_error: Option<String>,
    /// Of the last minute, when the run ended; absent where the system does not tell.
    load_average: Option<f64>,
    server_cpu_seconds_per_million_spans: Option<f64>,
    server_peak_memory_bytes: Option<u64>,
}

/// Request latencies in milliseconds, from when the request was due to its answer.
#[derive(Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Figures {
    /// Writes the figures for people.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Latency { p50, p90, p99, max } = &self.latency_ms;
        writeln!(
            out,
            "acknowledged  {} spans in {:.2} s: {:.0} spans/s",
            self.acknowledged_spans, self.seconds, self.acknowledged_spans_per_second
        )?;
        writeln!(
            out,
            "latency       p50 {p50:.2} ms  p90 {p90:.2} ms  p99 {p99:.2} ms  max {max:.2} ms  (a request of {} bytes)",
            self.request_bytes
        )?;
        writeln!(
            out,
            "refused       {} spans for good, {} answers to retry, {} spans given up, {} connections broken, {} errors",
            self.rejected_spans, self.retries, self.given_up_spans, self.reconnects, self.errors
        )?;
        if let Some(error) = &self.first_error {
            writeln!(out, "first error   {}", printable(error))?;
        }
        if let (Some(cpu), Some(memory)) = (self.server_cpu_seconds_per_million_spans, self.server_peak_memory_bytes) {
            writeln!(
                out,
                "server        {cpu:.2} CPU-seconds a million spans, peak memory {:.1} MB",
                memory as f64 / 1e6
            )?;
        }
        if let Some(load) = self.load_average {
            writeln!(out, "load average  {load:.2}")?;
        }
        Ok(())
    }
}

/// A server process under watch.
pub(crate) struct Process {
    pid: u32,
    cpu_seconds: f64,
}

/// What the process spent between `watch` and `finish`.
pub(crate) struct Spent {
    cpu_seconds: f64,
    peak_memory_bytes: u64,
}

impl Process {
    /// Starts to watch process `pid`.
    ///
    /// # Errors
    /// When `/proc` does not show the process.
    pub(crate) fn watch(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { pid, cpu_seconds: cpu_seconds(pid)? })
    }

    /// Returns what was spent, once the process has been idle for a second: work that it put off counts too.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn finish(self) -> anyhow::Result<Spent> {
        let mut last = cpu_seconds(self.pid)?;
        for _ in 0..DRAIN_SECONDS_MAX {
            std::thread::sleep(Duration::from_secs(1));
            let now = cpu_seconds(self.pid)?;
            if now - last < IDLE_CPU_SECONDS {
                break;
            }
            last = now;
        }
        Ok(Spent { cpu_seconds: last - self.cpu_seconds, peak_memory_bytes: peak_memory_bytes(self.pid)? })
    }
}

const DRAIN_SECONDS_MAX: u32 = 600;
const IDLE_CPU_SECONDS: f64 = 0.02;
/// Linux reports process times in USER_HZ, 100 a second on every architecture it runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns user and system time of all threads, proc(5) `/proc/PID/stat` fields 14 and 15.
fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("{path}: no such process on this machine"))?;
    let after_name = stat.rsplit_once(')').context("a process without a name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |field: usize| -> anyhow::Result<f64> { Ok(fields.get(field).context("a short stat line")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn peak_memory_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM for the process")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}
