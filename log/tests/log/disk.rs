//! The real file system keeps to what the tests in memory rest on.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use spanseal_log::{Access, Disk, Memory, Owner, Storage};

use crate::faults::{check_contents, run_undisturbed};
use crate::support::{STREAM, Spot, memory};

/// What both implementations do alike.
#[track_caller]
fn check_storage(storage: &dyn Storage, dir: &Path) {
    let (one, two) = (dir.join("one"), dir.join("two"));
    let file = storage.create(&one, Access::Shared).unwrap();
    file.write_at(b"hello", 0).unwrap();
    file.write_at(b"log", 8).unwrap();
    file.sync().unwrap();
    assert_eq!(file.size().unwrap(), 11);
    let mut bytes = [1; 20];
    assert_eq!(file.read_at(&mut bytes, 3).unwrap(), 8);
    assert_eq!(&bytes[..8], b"lo\0\0\0log");
    assert_eq!(file.read_at(&mut bytes, 11).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 12).unwrap(), 0);
    file.truncate(4).unwrap();
    assert_eq!(spanseal_log::read_file(storage, &one, 4).unwrap(), b"hell");
    assert!(spanseal_log::read_file(storage, &one, 3).is_err());
    assert_eq!(storage.create(&one, Access::Shared).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(storage.open(&two).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(storage.remove(&two).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    storage.create(&two, Access::Private).unwrap().allocate(5_000).unwrap();
    assert_eq!(storage.open(&two).unwrap().size().unwrap(), 5_000);
    assert_eq!(storage.access(&two).unwrap(), Access::Private);
    storage.rename(&one, &two).unwrap();
    storage.sync_dir(dir).unwrap();
    assert_eq!(storage.list(dir).unwrap(), ["two"]);
    storage.open_to_write(&two).unwrap().write_at(b"p", 3).unwrap();
    assert_eq!(spanseal_log::read_file(storage, &two, 4).unwrap(), b"help");
    let lock = storage.lock(&dir.join("lock")).unwrap();
    assert_eq!(storage.lock(&dir.join("lock")).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(lock);
    storage.lock(&dir.join("lock")).unwrap();
    assert!(storage.free_bytes(dir).unwrap() > 0);
}

#[test]
fn memory_and_disk_do_the_same() {
    let temp = tempfile::tempdir().unwrap();
    check_storage(&Disk, temp.path());
    let memory: Memory = memory();
    check_storage(&memory, Path::new("streams"));
}

#[test]
fn a_log_is_the_same_in_memory_and_on_disk() {
    for owner in [STREAM, Owner::RootLog] {
        let temp = tempfile::tempdir().unwrap();
        Disk.create_dir(&temp.path().join("streams"), Access::Shared).unwrap();
        let disk = Spot { storage: Arc::new(Disk), dir: temp.path().join("streams").join("one"), owner };
        let in_memory = Spot::in_memory(&memory(), owner);
        let told = run_undisturbed(&disk);
        let found = check_contents(&disk, &told);
        assert_eq!(check_contents(&in_memory, &run_undisturbed(&in_memory)), found);
        let names = |spot: &Spot| {
            let mut names = spot.storage.list(&spot.dir).unwrap();
            names.sort();
            names
        };
        assert_eq!(names(&disk), names(&in_memory));
        for name in names(&disk).iter().filter(|name| name.ends_with(".seg")) {
            let read =
                |spot: &Spot| spanseal_log::read_file(spot.storage.as_ref(), &spot.dir.join(name), 100_000).unwrap();
            assert!(read(&disk) == read(&in_memory), "{name}");
        }
    }
}

#[test]
fn private_files_and_directories_are_the_owners_alone() {
    let temp = tempfile::tempdir().unwrap();
    Disk.create(&temp.path().join("key"), Access::Private).unwrap();
    Disk.create_dir(&temp.path().join("keys"), Access::Private).unwrap();
    for (name, mode) in [("key", 0o600), ("keys", 0o700)] {
        let permissions = std::fs::metadata(temp.path().join(name)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{name}");
    }
}
