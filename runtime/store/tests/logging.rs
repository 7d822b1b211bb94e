//! The write-ahead log as redb sees it, a disk: what was synced is there whatever fails, and whoever dies.

mod support;

#[path = "../src/redb"]
#[allow(dead_code, unreachable_pub, reason = "the tests use a part")]
mod redb_disk {
    pub mod wal;
}

use std::collections::BTreeMap;
use std::io;

use redb::StorageBackend;

use crate::redb_disk::wal::{Checkpoints, Logged};
use crate::support::disk::{Fault, FaultyDisk, Loss};
use crate::support::random::{Random, seeds};

const PAGE: u64 = 4096;
const HALVES: [u64; 4] = [4 << 10, 8 << 10, 32 << 10, 128 << 10];

fn opened(disk: &FaultyDisk, half_bytes: u64) -> Logged {
    Logged::new(disk.clone(), disk.log(), half_bytes, Checkpoints::Before)
}

/// As long as redb's, and another for each number.
fn header(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(40)
}

/// A commit of pages, each filled with a byte.
fn commit(logged: &Logged, number: u64, pages: &[(u64, u8)]) -> io::Result<()> {
    for (page, byte) in pages {
        logged.write(page * PAGE, &[*byte; PAGE as usize])?;
    }
    logged.write(0, &header(number))?;
    logged.sync_data()
}

fn page(logged: &Logged, page: u64) -> u8 {
    let mut bytes = [0; PAGE as usize];
    logged.read(page * PAGE, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "page {page} is of two");
    bytes[0]
}

fn latest(logged: &Logged) -> u64 {
    let mut bytes = vec![0; 320];
    logged.read(0, &mut bytes).unwrap();
    let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, header(number));
    number
}

/// A file of some pages, with a first commit.
fn begun(disk: &FaultyDisk, half_bytes: u64) -> Logged {
    let logged = opened(disk, half_bytes);
    assert_eq!(logged.len().unwrap(), 0);
    logged.set_len(40 * PAGE).unwrap();
    commit(&logged, 1, &[]).unwrap();
    logged
}

#[test]
fn what_a_failing_sync_may_have_left_on_the_disk_is_no_reason_to_bring_an_old_log_in() {
    for at in 0..20 {
        let disk = FaultyDisk::default();
        let logged = begun(&disk, 8 << 10);
        commit(&logged, 2, &[(1, 2)]).unwrap();
        // The last of closing says that the log is not needed, but the disk forgets it.
        disk.break_after(2, Fault::Forgetful);
        logged.close().unwrap_err();
        let logged = opened(&disk, 8 << 10);
        logged.len().unwrap();
        disk.break_after(at, Fault::Once);
        let committed = if commit(&logged, 3, &[(2, 3)]).is_ok() { 3 } else { 2 };
        let left = disk.after(Loss::Unsynced);
        let logged = opened(&left, 8 << 10);
        logged.len().unwrap_or_else(|error| panic!("at {at}: {error}"));
        assert_eq!((latest(&logged), page(&logged, 1)), (committed, 2), "at {at}");
    }
}

/// The file takes the pages of a commit, but not its header.
fn in_the_log_alone(disk: &FaultyDisk, logged: &Logged, number: u64, pages: &[(u64, u8)]) {
    disk.break_after(pages.len() + 2, Fault::Once);
    commit(logged, number, pages).unwrap();
    assert_eq!(latest(logged), number);
}

#[test]
fn behind_a_commit_in_the_log_alone_one_of_more_than_the_log_holds_is_whole() {
    let disk = FaultyDisk::default();
    let logged = begun(&disk, 32 << 10);
    commit(&logged, 2, &[(1, 2)]).unwrap();
    in_the_log_alone(&disk, &logged, 3, &[(2, 3)]);
    // The page of the second commit is used again, last.
    let pages: Vec<_> = (3..20).chain([1]).map(|page| (page, 4)).collect();
    commit(&logged, 4, &pages).unwrap();
    assert_eq!((latest(&logged), page(&logged, 1)), (4, 4));
}

#[test]
fn what_is_brought_in_beside_readers_never_makes_a_page_older() {
    for at in 0..20 {
        let disk = FaultyDisk::default();
        let logged = begun(&disk, 64 << 10);
        commit(&logged, 2, &[(1, 2)]).unwrap();
        commit(&logged, 3, &[(2, 3)]).unwrap();
        in_the_log_alone(&disk, &logged, 4, &[(1, 4)]);
        disk.break_after(at, Fault::Once);
        let synced = logged.sync_data();
        assert_eq!((page(&logged, 1), page(&logged, 2)), (4, 3), "at {at}: {synced:?}");
    }
}

/// What a commit leaves.
#[derive(Debug, Clone)]
struct Version {
    number: u64,
    /// Pages that it names, each filled with a byte.
    pages: BTreeMap<u64, u8>,
    /// Pages of the file.
    length: u64,
}

impl Version {
    /// Whether it is there, as redb's checksums show.
    fn is_whole(&self, logged: &Logged) -> bool {
        let is = |offset, expected: &[u8]| {
            let mut bytes = vec![0; expected.len()];
            logged.read(offset, &mut bytes).unwrap();
            bytes == expected
        };
        is(0, &header(self.number)) && self.pages.iter().all(|(at, byte)| is(at * PAGE, &[*byte; PAGE as usize]))
    }

    fn check(&self, logged: &Logged) -> Result<(), String> {
        let mut bytes = vec![0; 320];
        logged.read(0, &mut bytes).unwrap();
        if bytes != header(self.number) {
            let parts = [&bytes[..8], &bytes[312..]].map(|part| u64::from_be_bytes(part.try_into().unwrap()));
            return Err(format!("commit {parts:?} instead of {}", self.number));
        }
        let differing = self.pages.iter().find(|(at, byte)| page(logged, **at) != **byte);
        differing.map_or(Ok(()), |(at, byte)| Err(format!("page {at} is {}, not {byte}", page(logged, *at))))
    }
}

/// What redb and the store do with a disk, in short.
struct World {
    random: Random,
    number: u64,
    committed: Version,
    /// A commit that may be there, or in part, until it is undone.
    doubtful: Option<Version>,
}

impl World {
    /// New pages beside those of the latest commit, its header, a sync; now and then the file grows before, or shrinks behind.
    fn commit(&mut self, logged: &Logged) -> io::Result<()> {
        self.number += 1;
        let mut next = Version { number: self.number, ..self.committed.clone() };
        let random = &mut self.random;
        next.pages.retain(|_, _| !random.once_in(4));
        next.length = logged.len()? / PAGE;
        let most = if random.once_in(4) { 30 } else { 6 };
        let count = random.below(most);
        let header_at = random.below(count + 1);
        let mut is_written = false;
        for at in 0..count {
            if at == header_at {
                is_written = true;
                self.doubtful = Some(next.clone());
                logged.write(0, &header(next.number))?;
            }
            if !is_written && next.length < 100 && random.once_in(20) {
                next.length += 1 + random.below(8) as u64;
                logged.set_len(next.length * PAGE)?;
                logged.sync_data()?;
            }
            let page = 1 + random.below(next.length as usize - 1) as u64;
            // Once more than once, as a page that had to leave redb's memory is.
            if !self.committed.pages.contains_key(&page) {
                let byte = random.below(256) as u8;
                next.pages.insert(page, byte);
                self.doubtful.iter_mut().for_each(|doubtful| doubtful.pages.clone_from(&next.pages));
                logged.write(page * PAGE, &[byte; PAGE as usize])?;
            }
        }
        if random.once_in(12) && !is_written {
            // Broken off; the file gets the length back that it had.
            return logged.set_len(self.committed.length * PAGE);
        }
        if !is_written {
            self.doubtful = Some(next.clone());
            logged.write(0, &header(next.number))?;
        }
        logged.sync_data()?;
        let used = next.pages.keys().next_back().map_or(2, |last| last + 1).max(2);
        let shrinks = used < next.length && random.once_in(6);
        if shrinks {
            next.length = used + random.below((next.length - used) as usize) as u64;
        }
        self.doubtful = None;
        self.committed = next;
        if shrinks { logged.set_len(self.committed.length * PAGE) } else { Ok(()) }
    }

    /// What the store does behind a failure.
    fn undo(&mut self, logged: &Logged) -> io::Result<()> {
        if self.doubtful.is_some() {
            logged.write(0, &header(self.committed.number))?;
            logged.sync_data()?;
            self.doubtful = None;
        }
        Ok(())
    }

    fn loss(&mut self) -> Loss {
        let number = self.random.number();
        *self.random.pick(&[Loss::Nothing, Loss::Unsynced, Loss::Some(number), Loss::Torn(number)])
    }

    fn fail(&mut self, disk: &FaultyDisk, within: usize) {
        let faults = [Fault::Once, Fault::HalfOnce, Fault::Forgetful, Fault::Lasting, Fault::Full];
        disk.break_after(self.random.below(within), *self.random.pick(&faults));
    }

    /// What is there may be the latest commit, or the doubtful one.
    fn check(&mut self, logged: &Logged) -> Result<(), String> {
        let Some(doubtful) = self.doubtful.take() else { return self.committed.check(logged) };
        if doubtful.is_whole(logged) {
            self.committed = doubtful;
        } else {
            // Half of a header, or of what it names where there was no log: redb goes back to the commit before.
            logged.write(0, &header(self.committed.number)).unwrap();
        }
        self.committed.check(logged)
    }
}

#[test]
fn servers_that_die_one_after_another_leave_what_was_synced() {
    for seed in seeds(0..1000) {
        if let Err(error) = lives(seed) {
            panic!("seed {seed}: {error}");
        }
    }
}

fn lives(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut disk = FaultyDisk::default();
    drop(begun(&disk, *random.pick(&HALVES)));
    let committed = Version { number: 1, pages: BTreeMap::new(), length: 40 };
    let mut world = World { random, number: 1, committed, doubtful: None };
    for life in 0..5 {
        // Starts that are broken off, by an error or a crash.
        for _ in 0..world.random.below(3) {
            world.fail(&disk, 12);
            let _ = opened(&disk, *world.random.pick(&HALVES)).len();
            disk = disk.after(world.loss());
        }
        disk.heal();
        let logged = opened(&disk, *world.random.pick(&HALVES));
        logged.len().map_err(|error| format!("life {life}: {error}"))?;
        world.check(&logged).map_err(|error| format!("life {life}: {error}"))?;
        for at in 0..world.random.below(30) {
            match world.random.below(4) {
                0 => world.fail(&disk, 24),
                1 => disk.heal(),
                _ => {}
            }
            if world.undo(&logged).is_ok() {
                world.committed.check(&logged).map_err(|error| format!("life {life}, alive at {at}: {error}"))?;
                let _ = world.commit(&logged);
            }
        }
        if world.random.once_in(4) {
            disk.heal();
            let closed = world.undo(&logged).and_then(|()| logged.sync_data()).and_then(|()| logged.close());
            if closed.is_ok() && world.random.once_in(2) {
                disk.lose_the_log();
            }
        }
        disk = disk.after(world.loss());
    }
    Ok(())
}
