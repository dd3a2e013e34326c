//! The real file system keeps to what the tests in memory rest on.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use spanseal_log::{Access, Disk, Memory, Owner, Storage, StorageFile};

use crate::faults::{check_contents, run_undisturbed};
use crate::support::{STREAM, Spot, memory};

/// What both implementations do alike.
#[track_caller]
fn check_storage(storage: &dyn Storage, dir: &Path) {
    let (one, two) = (dir.join("one"), dir.join("two"));
    let file = storage.create(&one).unwrap();
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
    assert_eq!(storage.create(&one).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(storage.open(&two).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(storage.remove(&two).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    storage.create(&two).unwrap().allocate(5_000).unwrap();
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

/// Large writes take another way than small ones, past the page cache; whatever comes after whatever, the file is the same.
#[test]
fn large_and_small_writes_make_one_file() {
    check_writes(|_| 1);
}

/// What lies in memory as in the file is written from where it is.
#[test]
fn writes_from_memory_that_lies_as_the_file_does_make_the_same_file() {
    check_writes(|offset| offset as usize);
}

/// `address` is where, modulo 4096, the bytes for an offset lie in memory.
#[track_caller]
fn check_writes(address: impl Fn(u64) -> usize) {
    let write_at = |file: &dyn StorageFile, bytes: &[u8], offset: u64| {
        let mut memory = vec![0; bytes.len() + 4096];
        let lead = address(offset).wrapping_sub(memory.as_ptr() as usize) % 4096;
        memory[lead..lead + bytes.len()].copy_from_slice(bytes);
        file.write_at(&memory[lead..lead + bytes.len()], offset).unwrap();
    };
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("file");
    let file = Disk.create(&path).unwrap();
    let reader = Disk.open(&path).unwrap();
    let mut expected = Vec::new();
    let sizes = [1, 4095, 200_000, 131_072, 4096, 5_000_001, 7, 131_071, 2 << 20, 4_090, 131_078, 300_000];
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + number * 7 + at / 251) as u8).collect();
        write_at(file.as_ref(), &bytes, expected.len() as u64);
        expected.extend_from_slice(&bytes);
        file.sync().unwrap();
        // Read each time, so that what the reader has in memory would be stale if nobody minded.
        assert!(read_whole(reader.as_ref()) == expected, "after the write of {size} bytes");
    }
    // Over what is there, and behind a hole.
    let bytes = vec![9; 150_000];
    write_at(file.as_ref(), &bytes, 1_000);
    expected[1_000..151_000].copy_from_slice(&bytes);
    let hole = expected.len() + 10_000;
    write_at(file.as_ref(), &bytes, hole as u64);
    expected.resize(hole, 0);
    expected.extend_from_slice(&bytes);
    assert!(read_whole(reader.as_ref()) == expected);
}

fn read_whole(file: &dyn StorageFile) -> Vec<u8> {
    let mut bytes = vec![0; file.size().unwrap() as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += file.read_at(&mut bytes[filled..], filled as u64).unwrap();
    }
    bytes
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
    Disk.create(&temp.path().join("key")).unwrap();
    Disk.create_dir(&temp.path().join("keys"), Access::Private).unwrap();
    for (name, mode) in [("key", 0o600), ("keys", 0o700)] {
        let permissions = std::fs::metadata(temp.path().join(name)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{name}");
    }
}

/// Whether a sync reached the disk cannot be seen from here; but these the kernel cannot sync, and says so when asked.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_is_asked_to_sync() {
    let file = Disk.open_to_write(Path::new("/dev/null")).unwrap();
    assert_eq!(file.sync().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(Disk.sync_dir(Path::new("/proc")).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
