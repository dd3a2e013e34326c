//! The data directory: names durable before they are relied on, one writer, keys nobody else reads.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use spanseal_log::files::replace;
use spanseal_log::{
    DataDir, Disk, Durability, Fault, KeyFile, KeyFileError, LockError, Memory, Owner, Storage, load_key,
    load_or_create_key,
};

use crate::support::STREAM;

fn open(memory: &Memory) -> Result<(DataDir, spanseal_log::Lock), LockError> {
    DataDir::open_to_write(Arc::new(memory.clone()), Path::new("deep/data"))
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let memory = Memory::new();
    let first = open(&memory).unwrap();
    assert!(matches!(open(&memory), Err(LockError::Held { .. })));
    drop(first);
    let _second = open(&memory).unwrap();
    let memory = memory.kill();
    open(&memory).unwrap();
}

#[test]
fn a_second_writer_on_disk_is_refused_and_a_reader_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("data");
    let (files, lock) = DataDir::open_to_write(Arc::new(Disk), &root).unwrap();
    files.write_name("acme.example/agents").unwrap();
    let refused = DataDir::open_to_write(Arc::new(Disk), &root).unwrap_err();
    assert!(refused.to_string().starts_with("another process writes to "), "{refused}");
    assert_eq!(DataDir::at(Arc::new(Disk), &root).read_name().unwrap(), "acme.example/agents");
    drop(lock);
    DataDir::open_to_write(Arc::new(Disk), &root).unwrap();
}

/// Dies before and after each operation of `work`; what a second try returns must outlast a power cut.
#[track_caller]
fn check_durable<T: PartialEq + std::fmt::Debug>(work: impl Fn(&Memory) -> Option<T>, read: impl Fn(&Memory) -> T) {
    for fault in [Fault::DieBefore, Fault::DieAfter, Fault::Unwritten(std::io::ErrorKind::Other)] {
        for operation in 0.. {
            let memory = Memory::new();
            memory.fault_after(operation, fault);
            work(&memory);
            let hit = memory.faults_hit().pop();
            let Some(hit) = hit else { break };
            let memory = memory.kill();
            let returned = work(&memory).expect("no restart needs a hand");
            assert_eq!(read(&memory.crash()), returned, "{fault:?} at {hit:?}");
        }
    }
}

fn key_path() -> std::path::PathBuf {
    Path::new("deep/data/keys/identity.key").to_owned()
}

#[test]
fn directories_are_durable_before_they_are_used() {
    let names = |memory: &Memory| memory.list(Path::new("deep/data")).unwrap_or_default();
    let expected = || ["cursors", "keys", "rootlog", "streams"].map(str::to_owned).to_vec();
    check_durable(|memory| open(memory).ok().map(|_| expected()), names);
}

#[test]
fn a_key_is_durable_before_it_is_used() {
    let work = |memory: &Memory| open(memory).ok().and_then(|_| load_or_create_key(memory, &key_path()).ok());
    check_durable(work, |memory| load_key(memory, &key_path()).unwrap_or_default());
}

#[test]
fn a_replaced_file_is_durable_when_that_was_asked_for() {
    let path = Path::new("name");
    for durability in [Durability::Synced, Durability::Replaced] {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            for operation in 0.. {
                let memory = Memory::new();
                replace(&memory, path, b"old", Durability::Synced).unwrap();
                memory.fault_after(operation, fault);
                let replaced = replace(&memory, path, b"new", durability).is_ok();
                let died = !memory.faults_hit().is_empty();
                let killed = spanseal_log::read_file(&memory.kill(), path, 10).unwrap();
                assert!(killed == b"old" || killed == b"new", "a reader sees one or the other");
                if durability == Durability::Synced {
                    let found = spanseal_log::read_file(&memory.crash(), path, 10).unwrap();
                    assert!(found == b"new" || (!replaced && found == b"old"), "{fault:?} at {operation}: {found:?}");
                }
                if !died {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_key_is_made_once_and_is_hex_in_a_private_file() {
    let temp = tempfile::tempdir().unwrap();
    let (files, _lock) = DataDir::open_to_write(Arc::new(Disk), &temp.path().join("data")).unwrap();
    let path = files.key(KeyFile::Identity);
    let key = load_or_create_key(&Disk, &path).unwrap();
    assert_eq!(load_or_create_key(&Disk, &path).unwrap(), key);
    let text = std::fs::read_to_string(&path).unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, format!("{hex}\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("identity.key");
    load_or_create_key(&Disk, &path).unwrap();
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for refused in [load_key(&Disk, &path), load_or_create_key(&Disk, &path)] {
            assert!(matches!(refused, Err(KeyFileError::ReadableByOthers { .. })), "mode {mode:o}");
        }
    }
}

#[test]
fn what_is_no_key_is_refused() {
    let good = "ab".repeat(32);
    for text in ["", &good, &format!("{good}\n\n"), &format!("{}\n", &good[2..]), &format!("{}AB\n", &good[2..]), "x\n"]
    {
        let memory = Memory::new();
        let path = Path::new("a.key");
        let file = memory.create(path).unwrap();
        file.write_at(text.as_bytes(), 0).unwrap();
        assert!(load_key(&memory, path).is_err(), "{text:?}");
    }
}

#[test]
fn paths_are_those_of_the_format() {
    let files = DataDir::at(Arc::new(Memory::new()), Path::new("d"));
    let stream = "11".repeat(16);
    for (path, expected) in [
        (files.key(KeyFile::Dedup), "d/keys/dedup.key".to_owned()),
        (files.log(&Owner::RootLog), "d/rootlog".to_owned()),
        (files.log(&STREAM), format!("d/streams/{stream}")),
        (files.checkpoint(&STREAM), format!("d/streams/{stream}/checkpoint")),
        (files.cursor("index"), "d/cursors/index".to_owned()),
        (files.index(), "d/index.sqlite".to_owned()),
        (files.subjects(), "d/subjects.sqlite".to_owned()),
    ] {
        assert_eq!(path, Path::new(&expected));
    }
}

#[test]
fn lists_the_streams_and_reads_their_checkpoints() {
    let memory = Memory::new();
    let (files, _lock) = open(&memory).unwrap();
    assert_eq!(files.streams().unwrap(), []);
    for name in ["22".repeat(16), "11".repeat(16), "no stream".to_owned()] {
        memory.create_dir(&files.root().join("streams").join(name), spanseal_log::Access::Shared).unwrap();
    }
    let streams: Vec<String> = files.streams().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(streams, ["11".repeat(16), "22".repeat(16)]);
    assert_eq!(files.read_checkpoint(&STREAM).unwrap(), None);
    files.write_checkpoint(&STREAM, "note\n", Durability::Replaced).unwrap();
    assert_eq!(files.read_checkpoint(&STREAM).unwrap().unwrap(), b"note\n");
}
