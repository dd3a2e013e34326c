//! The engine on a real disk and its own threads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spanseal_log::{DataDir, Disk, Owner};
use tokio_util::sync::CancellationToken;

use super::requests::{Request, bad_span};
use super::verdict::{Verdict, verdict_on};
use crate::config::Config;
use crate::intake::{Accepted, Encoding, Intake, Received, Refusal, Tenant};
use crate::seal::{Sealing, open, run};
use crate::serve::{Health, Metrics};

fn config(directory: &Path, more: &str) -> Config {
    Config::parse(&format!("name = 'test.example'\ndata_dir = '{}'\n{more}", directory.display())).unwrap()
}

fn opened(config: &Config, metrics: &Arc<Metrics>, health: &Health) -> Sealing {
    open(config, Arc::new(Disk), metrics.clone(), health.clone()).unwrap()
}

async fn submit(intake: &Intake, request: &Request) -> Result<Accepted, Refusal> {
    let tenant = Arc::new(Tenant { name: "acme".to_owned(), peer: "mtls:somebody".to_owned() });
    let (request, encoding) = (request.encode(), Encoding::Json);
    intake.submit(Received { request, encoding, tenant, received_unix_nano: 5, budget: None }).await
}

/// Verifies against the checkpoints that the engine left.
fn verified(directory: &Path, streams: usize) -> Verdict {
    let dir = DataDir::at(Arc::new(Disk), directory);
    let mut pins = BTreeMap::new();
    let note = |owner: &Owner| String::from_utf8(dir.read_checkpoint(owner).unwrap().unwrap()).unwrap();
    pins.insert("root".to_owned(), note(&Owner::RootLog));
    for stream in dir.streams().unwrap() {
        pins.insert(stream.to_string(), note(&Owner::Stream(stream)));
    }
    let verdict = verdict_on(&dir, &pins);
    verdict.must_hold();
    assert_eq!(verdict.report.streams.len(), streams);
    for stream in &verdict.report.streams {
        assert_eq!(stream.pin.as_ref().unwrap().size(), stream.size, "the last checkpoint covers everything");
    }
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn seals_what_many_senders_submit_and_stops_cleanly() {
    check_many_senders(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_out_to_several_streams_what_many_senders_submit() {
    check_many_senders(4).await;
}

async fn check_many_senders(streams: usize) {
    let directory = tempfile::tempdir().unwrap();
    let (metrics, health) = (Arc::new(Metrics::new()), Health::of(&["seal"]));
    let config = config(directory.path(), &format!("seal.streams = {streams}"));
    for life in 0..2 {
        let Sealing { intake, durable, engine, deployment, .. } = opened(&config, &metrics, &health);
        assert_eq!(deployment.as_str(), "test.example");
        assert!(health.reasons().is_empty());
        let engine = tokio::spawn(run(engine, CancellationToken::new()));
        let senders = (0..8).map(|sender| {
            let intake = intake.clone();
            tokio::spawn(async move {
                for request in 0..10 {
                    let first = 1000 * sender + 10 * request;
                    // The second life sends what the first has sealed, and as much again.
                    let request = Request::of(first..first + 5 * (life + 1)).with(bad_span());
                    assert_eq!(submit(&intake, &request).await.unwrap().rejected_spans, 1);
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
        let sizes = durable.iter().map(|durable| durable.borrow().size);
        assert!(sizes.sum::<u64>() >= 400 * (life + 1));
        drop(intake);
        engine.await.unwrap().unwrap();
    }
    let verdict = verified(directory.path(), streams);
    let mut spans = verdict.spans();
    spans.sort_unstable();
    spans.dedup();
    assert_eq!((spans.len(), verdict.spans().len()), (800, 800));
    let text = metrics.text();
    for line in [
        &format!("spanseal_seal_size_events {}", verdict.events.len()),
        &format!("spanseal_seal_epochs_total {}", 2 * streams),
        r#"spanseal_seal_spans_total{outcome="sealed"} 800"#,
        r#"spanseal_seal_spans_total{outcome="duplicate"} 400"#,
        r#"spanseal_seal_spans_total{outcome="invalid"} 160"#,
        "spanseal_seal_queue_requests 0",
        "spanseal_seal_window_entries 800",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in:\n{text}");
    }
}

async fn check_full_queue(settings: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (metrics, health) = (Arc::new(Metrics::new()), Health::of(&["seal"]));
    let config = config(directory.path(), settings);
    let Sealing { intake, engine, .. } = opened(&config, &metrics, &health);
    // Nothing runs the engine, so the first request waits and the second finds the queue full.
    let (first, second) = (Request::of([1]), Request::of([2, 3]));
    let (mut waiting, full) = (Box::pin(submit(&intake, &first)), submit(&intake, &second));
    let waited = tokio::time::timeout(Duration::from_millis(1), &mut waiting).await;
    assert!(waited.is_err(), "{settings}");
    assert!(matches!(full.await, Err(Refusal::Busy { .. })), "{settings}");
    let refused = r#"spanseal_seal_spans_total{outcome="refused"} 2"#;
    assert!(metrics.text().lines().any(|line| line == refused), "{}", metrics.text());
    assert_eq!(intake.refuses().is_some(), settings.contains("queue_bytes_max"), "{settings}");
    drop(engine);
    assert_eq!(waiting.await, Err(Refusal::Stopping));
    assert_eq!(submit(&intake, &second).await, Err(Refusal::Stopping));
}

#[tokio::test(start_paused = true)]
async fn refuses_retryably_when_the_queue_is_full_and_when_it_has_stopped() {
    check_full_queue("seal.queue_requests_max = 1").await;
    check_full_queue("seal.queue_bytes_max = 1").await;
}

#[tokio::test]
async fn refuses_what_is_no_request_and_takes_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let Sealing { intake, engine, .. } =
        opened(&config(directory.path(), ""), &Arc::new(Metrics::new()), &Health::of(&["seal"]));
    let tenant = Arc::new(Tenant { name: "acme".to_owned(), peer: String::new() });
    let (request, encoding) = (bytes::Bytes::from_static(b"\x0a\xff"), Encoding::Protobuf);
    let received = Received { request, encoding, tenant, received_unix_nano: 5, budget: None };
    assert!(matches!(intake.submit(received).await, Err(Refusal::Invalid(_))));
    assert_eq!(submit(&intake, &Request::of([])).await, Ok(Accepted::default()));
    drop(intake);
    run(engine, CancellationToken::new()).await.unwrap();
    assert!(verified(directory.path(), 1).spans().is_empty());
}

#[tokio::test]
async fn keeps_the_name_of_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (metrics, health) = (Arc::new(Metrics::new()), Health::of(&["seal"]));
    drop(opened(&config(directory.path(), ""), &metrics, &health));
    let text = format!("name = 'other.example'\ndata_dir = '{}'", directory.path().display());
    let other = Config::parse(&text).unwrap();
    let refused = open(&other, Arc::new(Disk), metrics, health).map(drop).unwrap_err().to_string();
    assert!(refused.starts_with("the data directory belongs to test.example, not to other.example: "), "{refused}");
}

#[tokio::test]
async fn keeps_keys_from_others_and_gives_a_new_directory_a_name() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let text = format!("data_dir = '{}'", directory.path().display());
    let config = Config::parse(&text).unwrap();
    let (metrics, health) = (Arc::new(Metrics::new()), Health::of(&["seal"]));
    let first = opened(&config, &metrics, &health).deployment;
    assert!(first.as_str().starts_with("local-"), "{first}");
    assert_eq!(opened(&config, &metrics, &health).deployment, first);
    let key = directory.path().join("keys/identity.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = open(&config, Arc::new(Disk), metrics, health).map(drop).unwrap_err().to_string();
    assert!(refused.contains("identity.key can be read by others"), "{refused}");
}
