//! The index: rows out of a log, the cursor with them, and what happens when something goes wrong in between.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use rusqlite::Connection;
use spanseal_ledger::StreamId;
use spanseal_pipelines::facet::Facet;
use spanseal_pipelines::find::{Found, Order, Query, Row, find};
use spanseal_pipelines::index::{Feed, Index, Indexed, Indexer, Limits, OpenError, follow, reindex};
use spanseal_schemas::event::{Assessment, AssessmentEvent, EventRef, Verdict};
use spanseal_schemas::kind;

use crate::world::{Sealed, World, attribute, segments, span, spans, text};

/// Indexes all there is.
pub(crate) fn index(world: &World) -> u64 {
    let mut indexer = Indexer::open(&world.data).unwrap();
    index_with(&mut indexer, &Limits::none())
}

fn index_with(indexer: &mut Indexer, limits: &Limits) -> u64 {
    let mut events = 0;
    loop {
        match indexer.round(limits).unwrap().events {
            0 => return events,
            more => events += more,
        }
    }
}

fn all(world: &World) -> Found {
    find(&world.data, &Query { limit: 100_000, ..Query::default() }).unwrap()
}

fn indexed(world: &World) -> u64 {
    Index::open(&world.data).unwrap().progress().unwrap().indexed
}

fn row(world: &World, event: u64) -> Row {
    let query = Query { event: Some(world.event(0, event)), ..Query::default() };
    find(&world.data, &query).unwrap().rows.remove(0)
}

#[test]
fn indexes_every_event_of_every_stream_once() {
    let mut world = World::with_stream();
    let second = world.open_stream(2);
    world.seal_spans(0, &spans(1, 300));
    world.rotate(0);
    world.seal_spans(0, &spans(2, 20));
    world.seal_spans(second, &spans(3, 5));
    world.checkpoint();
    assert_eq!(index(&world), world.size(0) + world.size(1));
    assert_eq!(index(&world), 0, "the cursor knows");
    let found = all(&world);
    assert_eq!(found.rows.len() as u64, world.size(0) + world.size(1));
    assert_eq!((found.progress.indexed, found.progress.size), (found.rows.len() as u64, found.rows.len() as u64));
    let mut events: Vec<&str> = found.rows.iter().map(|row| row.event.as_str()).collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), found.rows.len());
}

#[test]
fn goes_on_where_it_stopped_as_the_log_grows() {
    let mut world = World::with_stream();
    let mut indexer = Indexer::open(&world.data).unwrap();
    for round in 1..4 {
        world.seal_spans(0, &spans(round, 7));
        world.rotate(0);
        assert!(index_with(&mut indexer, &Limits::none()) > 7);
        assert_eq!(indexed(&world), world.size(0));
    }
    drop(indexer);
    world.seal_spans(0, &spans(9, 7));
    assert!(index(&world) >= 7);
    assert_eq!(indexed(&world), world.size(0));
}

#[test]
fn reads_no_further_than_what_is_durable() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    let durable = world.size(0);
    world.seal_spans(0, &spans(2, 5));
    let mut indexer = Indexer::open(&world.data).unwrap();
    let limits = Limits { sizes: BTreeMap::from([(world.stream(0), durable)]), others: false };
    assert_eq!(index_with(&mut indexer, &limits), durable);
    assert_eq!(indexer.round(&Limits::default()).unwrap(), Indexed::default());
}

#[test]
fn follows_a_feed_to_its_end_and_says_how_far_behind_it_is() {
    struct Sizes(Vec<Limits>);
    impl Feed for Sizes {
        fn wait(&mut self) -> Option<Limits> {
            self.0.pop()
        }
    }
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    let first = Limits { sizes: BTreeMap::from([(world.stream(0), world.size(0))]), others: true };
    world.seal_spans(0, &spans(2, 20_000));
    let last = Limits { sizes: BTreeMap::from([(world.stream(0), world.size(0))]), others: true };
    let mut rounds = Vec::new();
    let mut indexer = Indexer::open(&world.data).unwrap();
    follow(&mut indexer, &mut Sizes(vec![last, first]), &mut |round| rounds.push(round)).unwrap();
    assert_eq!(rounds.iter().map(|round| round.events).sum::<u64>(), world.size(0));
    assert_eq!(rounds.last().map(|round| round.lag), Some(0));
    assert!(rounds.iter().any(|round| round.lag > 0), "{rounds:?}");
}

/// A feed of a log that has the next size whenever it is asked, and notes its pauses.
struct Growing {
    stream: StreamId,
    /// Those to come, the last first.
    sizes: Vec<u64>,
    now: u64,
    pauses: Vec<Duration>,
}

impl Feed for Growing {
    fn wait(&mut self) -> Option<Limits> {
        self.now = self.sizes.pop()?;
        self.now()
    }

    fn now(&mut self) -> Option<Limits> {
        self.now = self.sizes.pop().unwrap_or(self.now);
        Some(Limits { sizes: BTreeMap::from([(self.stream, self.now)]), others: true })
    }

    fn pause(&mut self, time: Duration) {
        self.pauses.push(time);
    }
}

#[test]
fn pauses_between_rounds_while_much_is_sealed() {
    #[track_caller]
    fn check(later: &[u64], pauses: usize) {
        let mut world = World::with_stream();
        world.seal_spans(0, &spans(1, 18_000));
        let stream = world.stream(0);
        let sizes = later.iter().rev().chain(&[500, 0]).copied().collect();
        let mut feed = Growing { stream, sizes, now: 0, pauses: Vec::new() };
        let mut indexer = Indexer::open(&world.data).unwrap();
        follow(&mut indexer, &mut feed, &mut |_| ()).unwrap();
        assert_eq!(feed.pauses.len(), pauses, "{later:?}: {:?}", feed.pauses);
        assert!(feed.pauses.iter().all(|pause| !pause.is_zero()));
    }
    check(&[], 0);
    check(&[500, 500], 0);
    check(&[4_000, 8_000, 12_000], 0); // little
    check(&[5_000], 1);
    check(&[5_000, 5_000, 18_000], 2);
}

#[test]
fn finds_the_same_in_segments_merged_often_as_in_one() {
    let mut world = World::with_stream();
    let mut indexer = Indexer::open(&world.data).unwrap();
    for round in 0..70 {
        let pair = |number: u64| vec![text("round", &round.to_string()), text("odd", &(number % 2).to_string())];
        let span = |number: u64| span(round, 1 + number, None, "work", pair(number));
        world.seal_spans(0, &(0..=u64::from(round) % 5).map(span).collect::<Vec<_>>());
        index_with(&mut indexer, &Limits::none());
    }
    world.checkpoint();
    index_with(&mut indexer, &Limits::none());
    let segments = || {
        let connection = Connection::open(world.data.index()).unwrap();
        let count = "SELECT count(*), (SELECT count(*) FROM list) FROM segment";
        connection.query_row(count, [], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?))).unwrap()
    };
    assert!((2..=20).contains(&segments().0), "{:?}", segments());
    let at = |seconds: u64| Some((crate::world::BEGIN_SECONDS + seconds) * crate::world::SECOND);
    let attribute = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let queries = [
        Query::default(),
        Query { trace: Some([17; 16]), ..Query::default() },
        Query { span: Some(1_u64.to_be_bytes()), ..Query::default() },
        Query { name: Some("work".into()), order: Order::OldestFirst, ..Query::default() },
        Query { attributes: attribute("round", "33"), ..Query::default() },
        Query { attributes: attribute("odd", "1"), service: Some("shop-agent".into()), ..Query::default() },
        Query { kind: Some(kind::RESOURCE), ..Query::default() },
        Query { since: at(0), until: at(1), limit: 7, ..Query::default() },
    ];
    let answers = || queries.clone().map(|query| find(&world.data, &Query { limit: 500, ..query }).unwrap().rows);
    let merged = answers();
    assert!(merged.iter().all(|rows| !rows.is_empty()), "{merged:?}");
    drop(indexer);
    reindex(&world.data, &mut |_| ()).unwrap();
    assert_eq!(segments().0, 1);
    assert!(segments().1 > 0, "nothing is said by many events");
    assert_eq!(answers(), merged);
}

#[test]
fn takes_claims_dialects_and_resources_into_the_row() {
    let mut world = World::with_stream();
    let sealed = span(
        1,
        1,
        None,
        "execute_tool pay",
        vec![
            text("gen_ai.tool.name", "pay"),
            text("enduser.id", "anna"),
            text("user.id", "anna@acme"),
            text("provenance.business.ticket", "OPS-1"),
            attribute("gen_ai.usage.input_tokens", Value::IntValue(42)),
        ],
    );
    let index_of = world.seal_spans(0, &[sealed])[0];
    index(&world);
    let row = row(&world, index_of);
    assert_eq!((row.name.as_deref(), row.service.as_deref()), (Some("execute_tool pay"), Some("shop-agent")));
    assert_eq!(row.facets[&Facet::Tool], "pay");
    assert_eq!(row.facets[&Facet::User], "anna@acme", "the newer attribute counts more");
    assert_eq!(row.facets[&Facet::Ticket], "OPS-1");
    assert_eq!((row.verdict, row.kind.as_str()), (Some("no_action"), "span"));
}

#[test]
fn does_not_search_for_what_was_cut_out() {
    let mut world = World::with_stream();
    let secret =
        Sealed { keep_out: Some("secret"), ..span(1, 1, None, "pay", vec![text("secret", "1234"), text("k", "v")]) };
    world.seal_spans(0, &[secret]);
    index(&world);
    let search = |key: &str, value: &str| {
        let query = Query { attributes: vec![(key.to_owned(), value.to_owned())], ..Query::default() };
        find(&world.data, &query).unwrap().rows.len()
    };
    assert_eq!((search("k", "v"), search("secret", "1234"), search("secret", "\0\0\0\0")), (1, 0, 0));
}

#[test]
fn a_later_assessment_replaces_the_verdict() {
    let mut world = World::with_stream();
    let pending = Sealed {
        assessment: Some(Assessment { verdict: Verdict::Pending as i32, ..Assessment::default() }),
        ..span(1, 1, None, "pay", Vec::new())
    };
    let target = world.seal_spans(0, &[pending])[0];
    index(&world);
    assert_eq!(row(&world, target).verdict, Some("pending"));
    let refs = world.refs(0);
    let event = AssessmentEvent {
        version: 1,
        assessed_unix_nano: 5,
        event: Some(EventRef { stream: Vec::new(), index: target }),
        assessment: Some(Assessment { verdict: Verdict::Proven as i32, ..Assessment::default() }),
        configuration: refs.configuration,
    };
    world.seal(0, &[(kind::ASSESSMENT, event.encode_to_vec())]);
    index(&world);
    assert_eq!(row(&world, target).verdict, Some("proven"));
    let with = |verdict| find(&world.data, &Query { verdict: Some(verdict), ..Query::default() }).unwrap().rows;
    assert_eq!(with(Verdict::Pending), []);
    assert_eq!(with(Verdict::Proven).iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["assessment", "span"]);
}

#[test]
fn a_crash_between_rows_and_cursor_leaves_neither() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    index(&world);
    let before = all(&world).rows;
    // What a kill leaves: a transaction that was never committed, its pages in the WAL or not.
    let connection = Connection::open(world.data.index()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM batch; UPDATE stream SET next = 99;").unwrap();
    std::mem::forget(connection);
    let copy = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("index.sqlite{suffix}");
        std::fs::copy(world.data.root().join(&name), copy.path().join(&name)).unwrap();
    }
    let reopened = Connection::open(copy.path().join("index.sqlite")).unwrap();
    let (rows, next): (i64, i64) = reopened
        .query_row("SELECT (SELECT sum(count) FROM batch), (SELECT next FROM stream)", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!((rows, next), (before.len() as i64, before.len() as i64));
}

#[test]
fn a_write_that_fails_takes_the_whole_round_back() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    index(&world);
    let before = indexed(&world);
    world.seal_spans(0, &spans(2, 5));
    let full = Connection::open(world.data.index()).unwrap();
    full.execute_batch("CREATE TRIGGER full BEFORE INSERT ON bucket BEGIN SELECT raise(ABORT, 'disk full'); END")
        .unwrap();
    let mut indexer = Indexer::open(&world.data).unwrap();
    assert!(indexer.round(&Limits::none()).is_err());
    assert_eq!((indexed(&world), all(&world).rows.len() as u64), (before, before));
    full.execute_batch("DROP TRIGGER full").unwrap();
    index_with(&mut indexer, &Limits::none());
    assert_eq!(indexed(&world), world.size(0), "and the same indexer goes on");
}

#[test]
fn stops_where_the_log_does_not_verify_and_says_so() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    let good = world.size(0);
    let file = segments(&world.dir(0)).remove(0);
    let honest = std::fs::metadata(&file).unwrap().len() as usize;
    world.seal_spans(0, &spans(2, 5));
    world.seal_spans(0, &spans(3, 5));
    world.checkpoint();
    let bytes = std::fs::read(&file).unwrap();
    // An event is changed, and the record's CRC with it.
    let mut changed = bytes.clone();
    let end = honest + 9 + u32::from_be_bytes(bytes[honest..honest + 4].try_into().unwrap()) as usize;
    changed[end - 1] ^= 1;
    let crc = crc32c(&[&changed[honest..honest + 4], &changed[honest + 8..end]].concat());
    changed[honest + 4..honest + 8].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(&file, &changed).unwrap();
    index(&world);
    let progress = Index::open(&world.data).unwrap().progress().unwrap();
    assert_eq!((progress.indexed, progress.size), (good, world.size(0)));
    let stopped = progress.streams[0].stopped.as_deref().unwrap();
    assert!(stopped.starts_with("root_mismatch"), "{stopped}");
    // Once the log is restored, a new start goes on.
    std::fs::write(&file, &bytes).unwrap();
    index(&world);
    let progress = Index::open(&world.data).unwrap().progress().unwrap();
    assert_eq!((progress.indexed, progress.streams[0].stopped.as_deref()), (world.size(0), None));
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn an_index_of_another_log_is_not_continued() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    index(&world);
    let mut other = World::with_stream();
    other.seal_spans(0, &spans(2, 500));
    other.rotate(0);
    std::fs::copy(world.data.index(), other.data.index()).unwrap();
    index(&other);
    let progress = Index::open(&other.data).unwrap().progress().unwrap();
    assert!(progress.streams[0].stopped.is_some(), "{progress:?}");
}

#[test]
fn reindex_makes_the_same_index_anew() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 600));
    world.checkpoint();
    index(&world);
    let before = all(&world).rows;
    Connection::open(world.data.index()).unwrap().execute_batch("DELETE FROM segment").unwrap();
    assert!(all(&world).rows.is_empty());
    let mut rounds = 0;
    assert_eq!(reindex(&world.data, &mut |_| rounds += 1).unwrap(), world.size(0));
    assert!(rounds > 0);
    assert_eq!(all(&world).rows, before);
    world.seal_spans(0, &spans(2, 3));
    assert!(index(&world) >= 3, "and it is continued");
}

#[test]
fn reindex_keeps_away_from_a_collector_that_runs() {
    let world = World::with_stream();
    let lock = world.data.storage().lock(&world.data.root().join("lock")).unwrap();
    assert!(reindex(&world.data, &mut |_| {}).unwrap_err().to_string().contains("stop it first"));
    drop(lock);
    reindex(&world.data, &mut |_| {}).unwrap();
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let mut world = World::with_stream();
    world.seal_spans(0, &spans(1, 5));
    index(&world);
    Connection::open(world.data.index()).unwrap().pragma_update(None, "user_version", 999).unwrap();
    assert!(matches!(Index::open(&world.data), Err(OpenError::Version { got: 999, .. })));
    index(&world);
    assert_eq!(indexed(&world), world.size(0));
}

#[test]
fn says_when_there_is_no_index() {
    assert!(matches!(Index::open(&World::new().data), Err(OpenError::Missing { .. })));
}
