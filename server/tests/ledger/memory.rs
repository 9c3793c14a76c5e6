//! The disk in memory itself: what these tests rest on.

use std::io::ErrorKind;

use bolillero_server::ledger::disk::Disk;
use bolillero_server::ledger::memory::{Call, Done, MemoryDisk};

fn with_synced_file() -> MemoryDisk {
    MemoryDisk::with_files(&[("file".to_owned(), b"....".to_vec())].into())
}

#[test]
fn a_write_survives_a_loss_of_power_whole_in_part_or_not_until_it_is_synced() {
    let disk = with_synced_file();
    let file = disk.open_to_write("file").unwrap();
    file.write_at(1, b"abcd").unwrap();
    assert_eq!(disk.files()["file"], b".abcd");
    // What is chosen: how it survives, and the part's two ends.
    let rows: [(&[usize], &[u8]); 5] = [
        (&[0], b"...."),
        (&[1], b".abcd"),
        (&[2, 1, 3], b"..bc\0"),
        (&[2, 3, 1], b"..bc\0"),
        (&[3, 1, 3], b".a..d"),
    ];
    for (chosen, expected) in rows {
        let mut choices = chosen.iter().copied();
        let left = disk.files_after_power_loss(&mut |_| choices.next().unwrap());
        assert_eq!(left["file"], expected, "{chosen:?}");
        assert_eq!(choices.next(), None);
    }
    file.sync().unwrap();
    assert_eq!(disk.durable_files()["file"], b".abcd");
}

#[test]
fn a_name_survives_a_loss_of_power_once_the_directory_was_synced() {
    let disk = with_synced_file();
    disk.create("new").unwrap();
    disk.rename("file", "other").unwrap();
    let names = |files: bolillero_server::ledger::memory::Files| -> Vec<String> {
        files.into_keys().collect()
    };
    assert_eq!(names(disk.files()), ["new", "other"]);
    assert_eq!(names(disk.durable_files()), ["file"]);
    assert_eq!(names(disk.files_after_power_loss(&mut |_| 1)), ["new", "other"]);
    disk.sync_directory().unwrap();
    assert_eq!(names(disk.durable_files()), ["new", "other"]);
}

#[test]
fn what_a_failed_sync_was_about_is_read_but_never_durable_and_each_handle_is_told_once() {
    let disk = with_synced_file();
    let [first, second] = [(); 2].map(|()| disk.open_to_write("file").unwrap());
    first.write_at(0, b"abcd").unwrap();
    disk.fail_call(0, ErrorKind::Other, Done::Half);
    assert!(first.sync().is_err());
    second.write_at(3, b"D").unwrap();
    assert!(second.sync().is_err());
    assert!(first.sync().is_ok() && second.sync().is_ok());
    assert!(disk.open_to_write("file").unwrap().sync().is_ok());
    assert_eq!(disk.files()["file"], b"abcD");
    assert_eq!(disk.durable_files()["file"], b"...D");
    disk.evict();
    assert_eq!(disk.files()["file"], b"...D");
}

#[test]
fn a_call_fails_after_as_much_of_it_as_was_asked_for() {
    for (done, expected) in [(Done::Nothing, "...."), (Done::Half, "ab.."), (Done::All, "abcd")] {
        let disk = with_synced_file();
        let file = disk.open_to_write("file").unwrap();
        disk.fail_call(1, ErrorKind::StorageFull, done);
        file.sync().unwrap();
        assert_eq!(file.write_at(0, b"abcd").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(disk.files()["file"], expected.as_bytes());
        file.sync().unwrap();
        assert_eq!(disk.durable_files()["file"], expected.as_bytes());
    }
}

#[test]
fn room_is_what_all_files_take_and_power_stays_off() {
    let disk = with_synced_file();
    disk.limit_room(6, ErrorKind::QuotaExceeded);
    let file = disk.create("new").unwrap();
    file.allocate(2).unwrap();
    assert_eq!(file.allocate(3).unwrap_err().kind(), ErrorKind::QuotaExceeded);
    file.write_at(0, b"ab").unwrap();
    disk.remove("file").unwrap();
    file.write_at(2, b"cdef").unwrap();
    assert_eq!(disk.used(), 6);
    disk.lose_power_at(1);
    assert!(disk.names().is_ok());
    assert!(disk.names().is_err() && file.sync().is_err());
    assert_eq!(disk.calls().last(), Some(&Call::Names));
}

#[test]
fn a_spare_file_takes_its_place_until_its_handles_go_and_survives_once_it_has_a_durable_name() {
    let disk = with_synced_file();
    drop(disk.create_spare().unwrap());
    let spare = disk.create_spare().unwrap();
    spare.file.write_at(0, b"abcd").unwrap();
    spare.filler.sync().unwrap();
    assert_eq!((disk.used(), disk.files().len()), (8, 1));
    assert!((spare.give_name)("file").is_err(), "that name is taken");
    drop((spare.file, spare.filler));
    assert_eq!(disk.used(), 4);

    let spare = disk.create_spare().unwrap();
    spare.file.write_at(0, b"abcd").unwrap();
    spare.file.sync().unwrap();
    (spare.give_name)("named").unwrap();
    assert_eq!((disk.used(), disk.files().len(), disk.durable_files().len()), (8, 2, 1));
    disk.sync_directory().unwrap();
    assert_eq!(disk.durable_files()["named"], b"abcd");
}
