//! Servers that die again and again, on a disk that fails, while they start too: what was acknowledged stays, what was refused is
//! never seen, and the next start succeeds.

mod support;

use camshaft_model::ids::Digest;
use camshaft_model::seams::{Prune, Store, StoreError};
use camshaft_model::time::Timestamp;
use camshaft_store::{MemoryStore, RedbStore};

use crate::support::Run;
use crate::support::disk::{Fault, FaultyDisk, Loss};
use crate::support::picture::{Known, difference, picture};
use crate::support::random::{Random, seeds};

/// What is done, by any server.
#[derive(Debug, Clone, Copy)]
enum Work {
    /// So many executions from a number on, at once.
    Append(u64, u64),
    /// A number and so many bytes.
    PutBlob(u8, usize),
    /// What ended before.
    Prune(u64),
}

async fn carry_out(store: &dyn Store, work: Work) -> Result<(), StoreError> {
    match work {
        Work::Append(from, count) => {
            let mut append = Run::new(from).at_once(store.fence());
            for number in from + 1..from + count {
                append.journals.extend(ended(number).at_once(store.fence()).journals);
            }
            store.append(append).await
        }
        Work::PutBlob(number, bytes) => store.put_blob(Digest([number; 32]), vec![number; bytes]).await,
        Work::Prune(before) => {
            store.prune(Prune { ended_before: Timestamp(before), limit: 5, entries: 100 }).await.map(drop)
        }
    }
}

fn ended(number: u64) -> Run {
    Run { ended_at: Timestamp(number), ..Run::new(number) }
}

fn work(random: &mut Random, known: &mut Known) -> Work {
    match random.below(8) {
        0 => {
            let number = random.below(200) as u8;
            known.blobs.push(Digest([number; 32]));
            // Of one size each: what is there already is not put again.
            Work::PutBlob(number, 1 << (10 + number % 9))
        }
        1 => Work::Prune(known.executions.len() as u64 / 2),
        _ => {
            let from = known.executions.len() as u64;
            let count = if random.once_in(3) { 1 + random.below(40) as u64 } else { 1 };
            known.executions.extend((from..from + count).map(|number| Run::new(number).id));
            Work::Append(from, count)
        }
    }
}

fn loss(random: &mut Random) -> Loss {
    let number = random.number();
    *random.pick(&[Loss::Nothing, Loss::Unsynced, Loss::Some(number), Loss::Torn(number)])
}

fn fail(disk: &FaultyDisk, random: &mut Random, within: usize) {
    let fault = *random.pick(&[Fault::Once, Fault::HalfOnce, Fault::Forgetful, Fault::Lasting, Fault::Full]);
    disk.break_after(random.below(within), fault);
}

#[tokio::test]
async fn servers_that_die_one_after_another_lose_nothing_and_show_nothing_that_they_refused() {
    for seed in seeds(0..20) {
        lives(seed).await;
    }
}

/// A store of what was acknowledged, and of something else.
async fn with(acknowledged: &[Work], another: Option<Work>) -> MemoryStore {
    let store = MemoryStore::new();
    for work in acknowledged.iter().copied().chain(another) {
        carry_out(&store, work).await.unwrap();
    }
    store
}

async fn lives(seed: u64) {
    let mut random = Random::new(seed);
    let (mut disk, mut known, mut acknowledged) = (FaultyDisk::default(), Known::default(), Vec::new());
    let sizes = [8 << 10, 16 << 10, 64 << 10, 256 << 10];
    // Refused since the latest commit that was acknowledged: what the disk took without saying so may be there after a crash.
    let mut refused: Vec<Work> = Vec::new();
    for life in 0..6 {
        // Starts that are broken off, by an error or a crash.
        for _ in 0..random.below(3) {
            fail(&disk, &mut random, 30);
            let store = RedbStore::open_with(disk.clone(), disk.log(), *random.pick(&sizes));
            let left = disk.after(loss(&mut random));
            drop(store);
            disk = left;
        }
        let store = RedbStore::open_with(disk.clone(), disk.log(), *random.pick(&sizes));
        let store = store.unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        let got = picture(&store, &known).await;
        let expected = picture(&with(&acknowledged, None).await, &known).await;
        if got != expected {
            let mut doubtful = None;
            for work in refused.drain(..) {
                if got == picture(&with(&acknowledged, Some(work)).await, &known).await {
                    doubtful = Some(work);
                }
            }
            assert!(doubtful.is_some(), "seed {seed}, life {life}: {}", difference(&got, &expected));
            acknowledged.extend(doubtful);
        }
        refused.clear();
        for _ in 0..random.below(40) {
            match random.below(6) {
                0 => fail(&disk, &mut random, 60),
                1 | 2 => disk.heal(),
                _ => {}
            }
            let work = work(&mut random, &mut known);
            match carry_out(&store, work).await {
                Ok(()) => {
                    acknowledged.push(work);
                    refused.clear();
                }
                Err(StoreError::Unavailable(_)) => refused.push(work),
                Err(error) => panic!("seed {seed}, life {life}: {error}"),
            }
        }
        if random.once_in(3) {
            disk.heal();
            drop(store);
            disk = disk.after(loss(&mut random));
        } else {
            let left = disk.after(loss(&mut random));
            drop(store);
            disk = left;
        }
    }
}
