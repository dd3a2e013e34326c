//! The file, and what is left on the disk of a key that was destroyed.

use std::os::unix::fs::PermissionsExt;

use rusqlite::types::Value;

use super::*;

fn name(tenant: &str, subject: &str) -> SubjectName {
    SubjectName { tenant: tenant.to_owned(), subject: subject.to_owned() }
}

fn owed() -> Owed {
    Owed { event: b"event".to_vec(), after: EventId { stream: StreamId([7; 16]), index: u64::MAX } }
}

/// Returns which of the files hold these bytes.
fn holding(directory: &Path, bytes: &[u8]) -> Vec<String> {
    let mut holding = Vec::new();
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            holding.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    holding
}

#[test]
fn keeps_one_key_a_subject_and_tenant_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    let names = [name("a", "trace:1"), name("b", "trace:1"), name("a", "trace:1")];
    let first = SubjectFile::open(&path).unwrap().obtain(&names).unwrap();
    assert_eq!(first.len(), 2);
    assert_ne!(first[&names[0]].key(), first[&names[1]].key());
    let mut again = SubjectFile::open(&path).unwrap();
    let second = again.obtain(&names[..1]).unwrap();
    assert_eq!(first[&names[0]].key(), second[&names[0]].key());
    let reader = SubjectFile::open_reader(&path).unwrap();
    let found = reader.find(&second[&names[0]].id).unwrap().unwrap();
    assert_eq!(found.key(), second[&names[0]].key());
    assert!(again.find(&[0; 16]).unwrap().is_none());
    let tenants: Vec<_> = reader.named("trace:1").unwrap().into_iter().map(|known| known.name.tenant).collect();
    assert_eq!(tenants, ["a", "b"]);
}

#[test]
fn counts_changes_whether_or_not_the_ledger_was_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    let mut subjects = SubjectFile::open(&path).unwrap();
    let key = subjects.obtain(&[name("a", "trace:1")]).unwrap().remove(&name("a", "trace:1")).unwrap();
    assert_eq!(subjects.changes().unwrap(), 0);
    let hold = Hold { placed_by: "legal".to_owned(), reason: "case 7".to_owned(), since_unix_nano: 1 };
    for (n, change) in [Change::Hold(hold), Change::Release, Change::Destroy].iter().enumerate() {
        subjects.change(&key.id, change, &owed()).unwrap();
        let number = subjects.owed().unwrap()[0].0;
        subjects.settle(number).unwrap();
        drop(subjects);
        subjects = SubjectFile::open(&path).unwrap();
        assert_eq!(SubjectFile::open_reader(&path).unwrap().changes().unwrap(), n as u64 + 1);
    }
}

/// 2 is FULL: each commit syncs the write-ahead log, the first one its name as well (`tests/real/strace.py` looks).
#[test]
fn a_key_is_durable_when_it_is_obtained() {
    let directory = tempfile::tempdir().unwrap();
    let subjects = SubjectFile::open(&directory.path().join("subjects.sqlite")).unwrap();
    let pragma = |name: &str| subjects.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
    assert_eq!((pragma("journal_mode"), pragma("synchronous")), (Value::Text("wal".to_owned()), Value::Integer(2)));
}

#[test]
fn is_readable_by_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    let mut subjects = SubjectFile::open(&path).unwrap();
    subjects.obtain(&[name("a", "trace:1")]).unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

/// Enough subjects that SQLite splits pages.
#[test]
fn leaves_no_byte_of_a_destroyed_key_in_any_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    let mut subjects = SubjectFile::open(&path).unwrap();
    let names: Vec<SubjectName> = (0..3000).map(|n| name("a", &format!("attribute:user-{n}"))).collect();
    let mut keys = HashMap::new();
    for some in names.chunks(7) {
        keys.extend(subjects.obtain(some).unwrap());
    }
    let reader = SubjectFile::open_reader(&path).unwrap();
    assert!(reader.find(&keys[&names[0]].id).unwrap().is_some());
    let destroyed: Vec<_> = names.iter().step_by(3).map(|name| keys[name].clone()).collect();
    assert_ne!(holding(directory.path(), destroyed[0].key()), [""; 0]);
    for key in &destroyed {
        subjects.change(&key.id, &Change::Destroy, &owed()).unwrap();
    }
    subjects.scrub().unwrap();
    let files: Vec<Vec<u8>> =
        std::fs::read_dir(directory.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
    let mut left: std::collections::HashSet<[u8; 32]> = destroyed.iter().map(|key| *key.key()).collect();
    left.retain(|key| files.iter().any(|file| file.windows(32).any(|window| window == key)));
    assert_eq!(left.len(), 0, "copies of destroyed keys are left");
    assert!(reader.find(&destroyed[0].id).unwrap().is_none() && reader.known(&destroyed[0].id).unwrap().is_none());
    assert!(reader.find(&keys[&names[1]].id).unwrap().is_some(), "others keep theirs");
    assert_ne!(subjects.obtain(&names[..1]).unwrap()[&names[0]].id, destroyed[0].id, "a new person record");
}

#[test]
fn says_so_while_a_reader_keeps_a_copy_of_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    let mut subjects = SubjectFile::open(&path).unwrap();
    subjects.connection.busy_timeout(Duration::from_millis(1)).unwrap();
    let alice = name("a", "attribute:alice");
    let key = subjects.obtain(std::slice::from_ref(&alice)).unwrap().remove(&alice).unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("begin; select * from subject;").unwrap();
    subjects.change(&key.id, &Change::Destroy, &owed()).unwrap();
    assert!(matches!(subjects.scrub(), Err(SubjectsError::InUse)));
    assert_eq!(holding(directory.path(), key.key()), ["subjects.sqlite-wal"]);
    reader.execute_batch("commit").unwrap();
    subjects.scrub().unwrap();
    assert_eq!(holding(directory.path(), key.key()), [""; 0]);
    assert_eq!(holding(directory.path(), b"alice"), [""; 0]);
}

/// The files as a kill leaves them, right after the change.
#[test]
fn a_copy_of_the_files_after_a_change_knows_what_is_owed() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut subjects = SubjectFile::open(&first.path().join("subjects.sqlite")).unwrap();
    let alice = name("a", "attribute:alice");
    let key = subjects.obtain(std::slice::from_ref(&alice)).unwrap().remove(&alice).unwrap();
    subjects.change(&key.id, &Change::Destroy, &owed()).unwrap();
    for file in std::fs::read_dir(first.path()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), second.path().join(file.file_name())).unwrap();
    }
    let mut copy = SubjectFile::open(&second.path().join("subjects.sqlite")).unwrap();
    assert!(copy.find(&key.id).unwrap().is_none());
    let [(number, found)] = &copy.owed().unwrap()[..] else { panic!("one event is owed") };
    assert_eq!(*found, owed());
    copy.scrub().unwrap();
    assert_eq!(holding(second.path(), key.key()), [""; 0]);
    copy.settle(*number).unwrap();
    assert!(copy.owed().unwrap().is_empty());
}

#[test]
fn holds_and_releases() {
    let directory = tempfile::tempdir().unwrap();
    let mut subjects = SubjectFile::open(&directory.path().join("subjects.sqlite")).unwrap();
    let names = [name("a", "attribute:alice"), name("a", "trace:1")];
    let keys = subjects.obtain(&names).unwrap();
    let hold = Hold { placed_by: "legal".into(), reason: "case 7".into(), since_unix_nano: u64::MAX };
    let id = keys[&names[0]].id;
    subjects.change(&id, &Change::Hold(hold.clone()), &owed()).unwrap();
    let known = Known { id, name: names[0].clone(), hold: Some(hold) };
    assert_eq!(subjects.known(&id).unwrap(), Some(known.clone()));
    assert_eq!(subjects.held().unwrap(), [known]);
    subjects.change(&id, &Change::Release, &owed()).unwrap();
    assert_eq!(subjects.held().unwrap(), []);
    assert_eq!(subjects.owed().unwrap().len(), 2);
}

#[test]
fn takes_over_a_file_of_the_first_days_and_leaves_no_copy_there_either() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "pragma journal_mode = wal;
         create table subject (id blob primary key, tenant text not null, subject text not null, key blob not null,
             unique (tenant, subject)) without rowid;",
    )
    .unwrap();
    let keys: Vec<SubjectKey> = (0..500).map(|_| SubjectKey::draw().unwrap()).collect();
    for (n, key) in keys.iter().enumerate() {
        let subject = format!("trace:{n}");
        old.execute("insert into subject values (?1, 'a', ?2, ?3)", params![key.id, subject, key.key()]).unwrap();
    }
    drop(old);
    let mut subjects = SubjectFile::open(&path).unwrap();
    for (n, key) in keys.iter().enumerate() {
        assert_eq!(subjects.find(&key.id).unwrap().unwrap().key(), key.key());
        assert_eq!(subjects.named(&format!("trace:{n}")).unwrap()[0].id, key.id);
        subjects.change(&key.id, &Change::Destroy, &owed()).unwrap();
    }
    subjects.scrub().unwrap();
    for key in &keys {
        assert_eq!(holding(directory.path(), key.key()), [""; 0]);
    }
}

#[test]
fn leaves_a_file_of_a_later_version_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("subjects.sqlite");
    drop(SubjectFile::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    for opened in [SubjectFile::open(&path), SubjectFile::open_reader(&path)] {
        assert!(matches!(opened, Err(SubjectsError::Version { got: 2, known: 1 })));
    }
}

#[test]
fn prints_no_key() {
    let printed = format!("{:?}", SubjectKey::new([1; 16], [0xAB; 32]));
    assert!(!printed.contains("171"), "{printed}");
}
