//! Records and stamps as bytes.

use std::collections::HashSet;
use std::io;

use redb::StorageBackend;

use super::PAGE;

const MARK: [u8; 8] = *b"CAMSHAFT";
/// Bytes of a record before its writes.
const HEAD: usize = 96;
/// Bytes of those that the digest covers, and which it stands behind.
const DIGEST_AT: usize = 64;
/// Bytes of a write before its own.
const WRITE_HEAD: usize = 12;

/// Up to which record a file has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    pub(super) sequence: u64,
    /// That of the record.
    pub(super) digest: [u8; 32],
}

/// A stamp in a file. There are two places, and the older one is written over: one that breaks off leaves the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamped {
    generation: u64,
    pub(super) stamp: Stamp,
    /// Whether there are records behind it.
    pub(super) is_needed: bool,
}

impl Stamped {
    const BYTES: usize = 65;
    const PLACES: [u64; 2] = [PAGE - 256, PAGE - 128];

    /// The stamp of a file; none where nobody has stamped it.
    pub(super) fn read(file: &dyn StorageBackend) -> io::Result<Option<Self>> {
        if file.len()? < PAGE {
            return Ok(None);
        }
        let mut newest: Option<Self> = None;
        for place in Self::PLACES {
            let mut bytes = [0; Self::BYTES];
            file.read(place, &mut bytes)?;
            let stamped = Self::decode(&bytes);
            newest = newest.into_iter().chain(stamped).max_by_key(|stamped| stamped.generation);
        }
        Ok(newest)
    }

    /// Stamps a file, durably.
    pub(super) fn write(file: &dyn StorageBackend, stamp: Stamp, is_needed: bool) -> io::Result<()> {
        let generation = Self::read(file)?.map_or(0, |stamped| stamped.generation) + 1;
        let place = Self::PLACES[(generation % 2) as usize];
        file.write(place, &Self { generation, stamp, is_needed }.encode())?;
        file.sync_data()
    }

    fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MARK);
        bytes[8..16].copy_from_slice(&self.generation.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.stamp.sequence.to_be_bytes());
        bytes[24..56].copy_from_slice(&self.stamp.digest);
        bytes[56] = u8::from(self.is_needed);
        let check = blake3::hash(&bytes[..57]);
        bytes[57..].copy_from_slice(&check.as_bytes()[..8]);
        bytes
    }

    fn decode(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let is_whole = bytes[..8] == MARK && bytes[57..] == blake3::hash(&bytes[..57]).as_bytes()[..8];
        let stamp = Stamp { sequence: number(bytes, 16), digest: bytes[24..56].try_into().ok()? };
        is_whole.then(|| Self { generation: number(bytes, 8), stamp, is_needed: bytes[56] != 0 })
    }
}

/// Adds a write.
pub(super) fn add(writes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    writes.extend_from_slice(&offset.to_be_bytes());
    // redb writes its pages one by one; a longer write is several.
    writes.extend_from_slice(&(data.len() as u32).to_be_bytes());
    writes.extend_from_slice(data);
}

/// Writes that were added, in their order.
fn each(mut writes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        let (head, behind) = writes.split_first_chunk::<WRITE_HEAD>()?;
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let data;
        (data, writes) = behind.split_at_checked(length)?;
        Some((number(head, 0), data))
    })
}

/// Writes, also behind the end.
fn write(file: &dyn StorageBackend, offset: u64, data: &[u8]) -> io::Result<()> {
    let end = offset + data.len() as u64;
    if end > file.len()? {
        file.set_len(end)?;
    }
    file.write(offset, data)
}

/// Bytes of a record with so many bytes of writes.
pub(super) fn bytes_of(writes: usize) -> u64 {
    ((HEAD + WRITE_HEAD + writes) as u64).next_multiple_of(PAGE)
}

/// A record behind another; `length` is the file's.
pub(super) fn encode(behind: &Stamp, length: u64, writes: &[u8]) -> (Stamp, Vec<u8>) {
    let sequence = behind.sequence + 1;
    let mut bytes = Vec::with_capacity(bytes_of(writes.len()) as usize);
    bytes.extend_from_slice(&MARK);
    for number in [sequence, length, writes.len() as u64] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&behind.digest);
    let digest = digest(&bytes, writes);
    bytes.extend_from_slice(&digest);
    bytes.extend_from_slice(writes);
    bytes.resize(bytes_of(writes.len()) as usize, 0);
    (Stamp { sequence, digest }, bytes)
}

fn digest(head: &[u8], writes: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(head).update(writes).finalize().as_bytes()
}

/// A record that is whole.
pub(super) struct Record<'a> {
    pub(super) stamp: Stamp,
    /// The digest of the one before.
    previous: [u8; 32],
    length: u64,
    writes: &'a [u8],
    /// Where the next one begins.
    end: usize,
}

impl<'a> Record<'a> {
    /// Those that follow each other from the beginning of a half. What stands behind them is of another time, or was not finished.
    pub(super) fn chain(half: &'a [u8]) -> Vec<Self> {
        let mut records: Vec<Self> = Vec::new();
        let mut at = 0;
        while let Some(record) = Self::read(half, at)
            && records.last().is_none_or(|last| record.follows(&last.stamp))
        {
            at = record.end;
            records.push(record);
        }
        records
    }

    /// Whether it is the one behind another.
    pub(super) fn follows(&self, last: &Stamp) -> bool {
        self.stamp.sequence == last.sequence + 1 && self.previous == last.digest
    }

    fn read(half: &'a [u8], at: usize) -> Option<Self> {
        let (head, behind) = half.get(at..)?.split_first_chunk::<HEAD>()?;
        if head[..8] != MARK {
            return None;
        }
        let writes = behind.get(..usize::try_from(number(head, 24)).ok()?)?;
        let stamp = Stamp { sequence: number(head, 8), digest: head[DIGEST_AT..].try_into().ok()? };
        let is_whole = digest(&head[..DIGEST_AT], writes) == stamp.digest;
        let (previous, length) = (head[32..DIGEST_AT].try_into().ok()?, number(head, 16));
        is_whole.then(|| Self { stamp, previous, length, writes, end: at + bytes_of(writes.len()) as usize })
    }

    /// Writes again what was written, then and since, of each page the newest alone: somebody may read the file meanwhile, and
    /// where this fails half-way, no page is older than it was.
    pub(super) fn carry_out(records: &[&Self], since: &[u8], file: &dyn StorageBackend) -> io::Result<()> {
        let length = records.iter().map(|record| record.length).max().unwrap_or_default();
        if file.len()? < length {
            file.set_len(length)?;
        }
        let writes: Vec<_> = records.iter().flat_map(|record| each(record.writes)).chain(each(since)).collect();
        let mut pages = HashSet::new();
        for (offset, data) in writes.into_iter().rev() {
            for (at, page) in (offset..).step_by(PAGE as usize).zip(data.chunks(PAGE as usize)) {
                if pages.insert(at) {
                    write(file, at, page)?;
                }
            }
        }
        Ok(())
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_be_bytes(number)
}
