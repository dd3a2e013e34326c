//! Over the socket, and without one.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;

use spanseal_log::Disk;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::{Control, ControlError, carry_out, run, socket};
use crate::config::Config;
use crate::seal::subjects::SubjectFile;
use crate::seal::{self, Order, Refused, Sealing};
use crate::serve::{Health, Metrics};

fn opened(data: &Path) -> Sealing {
    let config = Config { data_dir: data.to_owned(), ..Config::default() };
    seal::open(&config, Arc::new(Disk), Arc::new(Metrics::new()), Health::of(&["seal"])).unwrap()
}

fn hold(subject: &str) -> Order {
    let text = |text: &str| text.to_owned();
    Order::Hold { tenant: text("t"), subject: text(subject), placed_by: text("legal"), reason: text("case 7") }
}

fn erase(id: &str, changes_seen: u64) -> Order {
    let (requested_by, legal_basis) = ("dpo".to_owned(), "GDPR 17".to_owned());
    Order::Erase { id: id.to_owned(), requested_by, legal_basis, changes_seen }
}

fn changes(data: &Path) -> u64 {
    SubjectFile::open_reader(&data.join("subjects.sqlite")).unwrap().changes().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn carries_orders_out_while_a_collector_runs() {
    let directory = tempfile::tempdir().unwrap();
    let Sealing { intake, engine, orders, .. } = opened(directory.path());
    let engine = tokio::spawn(seal::run(engine, CancellationToken::new()));
    let stop = CancellationToken::new();
    let control = tokio::spawn(run(Control::bind(directory.path(), orders).unwrap(), stop.clone()));
    let path = socket(directory.path());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let held = carry_out(directory.path(), hold("attribute:alice")).await.unwrap();
    assert!(matches!(
        carry_out(directory.path(), erase(&held.subject, 1)).await,
        Err(ControlError::Refused(Refused::Held(hold))) if hold.reason == "case 7"
    ));
    // One that says nothing, and one that says nothing of use, keep nobody else out.
    let mut idle = UnixStream::connect(&path).await.unwrap();
    idle.shutdown().await.unwrap();
    let mut stranger = UnixStream::connect(&path).await.unwrap();
    stranger.write_all(b"hello\n").await.unwrap();
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with(r#"{"no_order":"#), "{answer}");
    let release = Order::Release { id: held.subject.clone(), released_by: "legal".into(), reason: "over".into() };
    carry_out(directory.path(), release).await.unwrap();
    // A hold on a trace, of which only whoever reads the log knows whose values are in it.
    let seen = changes(directory.path());
    carry_out(directory.path(), hold("trace:00")).await.unwrap();
    for seen in [0, seen, seen + 2] {
        let refused = carry_out(directory.path(), erase(&held.subject, seen)).await;
        assert!(matches!(refused, Err(ControlError::Refused(Refused::Changed))), "{refused:?}");
    }
    let erased = carry_out(directory.path(), erase(&held.subject, seen + 1)).await.unwrap();
    assert_eq!(erased.subject, held.subject);
    assert!(erased.unix_nano > 0 && erased.event.contains('-'), "{erased:?}");

    stop.cancel();
    control.await.unwrap().unwrap();
    assert!(!path.exists(), "a collector that stops takes its socket along");
    let refused = carry_out(directory.path(), hold("attribute:bob")).await.unwrap_err();
    assert!(matches!(refused, ControlError::NoSocket { .. }), "{refused}");
    drop(intake);
    engine.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn opens_the_stream_itself_when_no_collector_runs() {
    let directory = tempfile::tempdir().unwrap();
    let Sealing { intake, engine, .. } = opened(directory.path());
    drop(intake);
    seal::run(engine, CancellationToken::new()).await.unwrap();
    // What a killed collector leaves.
    drop(StdListener::bind(socket(directory.path())).unwrap());
    let held = carry_out(directory.path(), hold("attribute:alice")).await.unwrap();
    assert!(matches!(
        carry_out(directory.path(), hold("attribute:alice")).await,
        Err(ControlError::Refused(Refused::Held(_)))
    ));
    assert!(matches!(
        carry_out(directory.path(), erase(&"0".repeat(32), 1)).await,
        Err(ControlError::Refused(Refused::NoSubject))
    ));
    assert_eq!(held.event.split('-').count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_so_when_the_path_is_too_long_for_a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(120));
    let Sealing { intake, engine, orders, .. } = opened(&deep);
    let refused = Control::bind(&deep, orders).map(drop).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    let refused = carry_out(&deep, hold("attribute:alice")).await.unwrap_err();
    assert!(matches!(refused, ControlError::PathTooLong { .. }), "{refused}");
    drop(intake);
    seal::run(engine, CancellationToken::new()).await.unwrap();
    carry_out(&deep, hold("attribute:alice")).await.unwrap();
}
