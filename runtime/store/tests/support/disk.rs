//! A disk in memory that fails when told to, forgets what was not synced, and can hold a sync back. Two files are on it: the store's,
//! and its log.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// What a disk writes whole or not at all, bytes.
const SECTOR: usize = 512;

/// How a disk fails from one operation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Only that operation.
    Once,
    /// That operation, of which the first half happens.
    HalfOnce,
    /// That operation; where it is a sync, the writes that it was for never reach the disk, though they can be read: so does Linux.
    Forgetful,
    /// That operation and each one after it.
    Lasting,
    /// The disk has no room left: from that operation on, nothing is written where nothing was written before.
    Full,
}

/// What is on the disk after the machine lost its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Everything written.
    Nothing,
    /// Everything since the latest sync.
    Unsynced,
    /// Some writes since the latest sync, in no order: each with the evenness of this number.
    Some(u64),
    /// Some sectors of them, of which a write may be many.
    Torn(u64),
}

/// A file on a disk. Clones are the same file.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk {
    disk: Arc<(Mutex<State>, Condvar)>,
    which: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Which {
    #[default]
    Store,
    Log,
}

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    /// What a loss of power leaves for certain.
    durable: Vec<u8>,
    /// Since the latest sync, oldest first.
    unsynced: Vec<Change>,
    /// Behind the last byte that was ever written.
    reached: usize,
}

#[derive(Debug, Default)]
struct State {
    store: File,
    log: File,
    /// Writes, changes of length and syncs so far.
    operations: usize,
    fault: Option<(usize, Fault)>,
    read_fault: bool,
    /// Writes of the header: one a commit.
    commits: usize,
    held: bool,
    waiting: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Bytes { offset: usize, data: Vec<u8> },
    Length(usize),
}

impl FaultyDisk {
    /// The log beside it.
    pub fn log(&self) -> Self {
        Self { disk: self.disk.clone(), which: Which::Log }
    }

    /// Loses its log, as people do.
    pub fn lose_the_log(&self) {
        self.state().log = File::default();
    }

    /// Fails at an operation, counted from the first one of the disk.
    pub fn failing(at: usize, fault: Fault) -> Self {
        let disk = Self::default();
        disk.state().fault = Some((at, fault));
        disk
    }

    /// Fails at the next operation.
    pub fn break_now(&self, fault: Fault) {
        self.break_after(0, fault);
    }

    /// Fails behind so many further operations.
    pub fn break_after(&self, operations: usize, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.operations + operations, fault));
    }

    /// Fails at the next read, once.
    pub fn break_next_read(&self) {
        self.state().read_fault = true;
    }

    pub fn heal(&self) {
        self.state().fault = None;
    }

    pub fn operations(&self) -> usize {
        self.state().operations
    }

    pub fn commits(&self) -> usize {
        self.state().commits
    }

    /// A disk with what is left after a crash.
    pub fn after(&self, loss: Loss) -> Self {
        let (state, disk) = (self.state(), Self::default());
        let number = |shift: u32| match loss {
            Loss::Some(number) => Loss::Some(number.rotate_right(shift)),
            Loss::Torn(number) => Loss::Torn(number.rotate_right(shift)),
            loss => loss,
        };
        {
            let mut left = disk.state();
            left.store = state.store.after(number(0));
            left.log = state.log.after(number(32));
        }
        disk
    }

    /// Lets no sync end until [`Self::release`].
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Returns once a sync is held back.
    pub fn wait_until_held(&self) {
        let mut state = self.state();
        while !state.waiting {
            state = self.disk.1.wait(state).unwrap();
        }
    }

    pub fn release(&self) {
        let mut state = self.state();
        state.held = false;
        self.disk.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.disk.0.lock().unwrap()
    }
}

impl State {
    /// Counts an operation; tells how it fails, if it does.
    fn begin(&mut self) -> Option<Fault> {
        let now = self.operations;
        self.operations += 1;
        match self.fault {
            Some((at, fault @ (Fault::Lasting | Fault::Full))) if now >= at => Some(fault),
            Some((at, fault)) if now == at => Some(fault),
            _ => None,
        }
    }

    fn file(&mut self, which: Which) -> &mut File {
        match which {
            Which::Store => &mut self.store,
            Which::Log => &mut self.log,
        }
    }
}

impl File {
    /// What a loss leaves; all of it is durable, unless nothing was lost.
    fn after(&self, loss: Loss) -> Self {
        if loss == Loss::Nothing {
            return self.clone();
        }
        let mut bytes = self.durable.clone();
        for (at, change) in self.unsynced.iter().enumerate() {
            match change {
                // A file system keeps lengths in order.
                Change::Length(length) => match loss {
                    Loss::Unsynced => {}
                    _ => bytes.resize(*length, 0),
                },
                Change::Bytes { offset, data } => {
                    let mut from = 0;
                    while from < data.len() {
                        let to = ((offset + from) / SECTOR + 1) * SECTOR - offset;
                        let to = to.min(data.len());
                        let is_kept = match loss {
                            Loss::Some(number) => (number >> (at % 64)) & 1 == 0,
                            Loss::Torn(number) => {
                                let mixed = (number ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ from as u64;
                                (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) & 1 == 0
                            }
                            Loss::Nothing | Loss::Unsynced => false,
                        };
                        if is_kept {
                            bytes[offset + from..offset + to].copy_from_slice(&data[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
        let reached = bytes.len();
        Self { durable: bytes.clone(), bytes, unsynced: Vec::new(), reached }
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len();
        if end > self.bytes.len() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.bytes[offset..end].copy_from_slice(data);
        self.reached = self.reached.max(end);
        self.unsynced.push(Change::Bytes { offset, data: data.to_vec() });
        Ok(())
    }

    fn set_len(&mut self, length: usize) {
        self.bytes.resize(length, 0);
        self.unsynced.push(Change::Length(length));
    }

    /// Makes durable what was written, or its lengths alone.
    fn sync(&mut self, lengths_alone: bool) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Length(length) => self.durable.resize(length, 0),
                Change::Bytes { offset, data } if !lengths_alone => {
                    self.durable[offset..offset + data.len()].copy_from_slice(&data);
                }
                Change::Bytes { .. } => {}
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::other("this disk is broken on purpose")
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().file(self.which).bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if std::mem::take(&mut state.read_fault) {
            return Err(broken());
        }
        let offset = offset as usize;
        let bytes = state.file(self.which).bytes.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.begin().is_some_and(|fault| fault != Fault::Full) {
            return Err(broken());
        }
        state.file(self.which).set_len(len as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        while state.held {
            state.waiting = true;
            self.disk.1.notify_all();
            state = self.disk.1.wait(state).unwrap();
        }
        state.waiting = false;
        match state.begin() {
            None | Some(Fault::Full) => {
                state.file(self.which).sync(false);
                return Ok(());
            }
            Some(Fault::Forgetful) => state.file(self.which).sync(true),
            Some(_) => {}
        }
        Err(broken())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin();
        if offset == 0 && self.which == Which::Store {
            state.commits += 1;
        }
        let file = state.file(self.which);
        match fault {
            None => file.write(offset as usize, data),
            Some(Fault::Full) if offset as usize + data.len() <= file.reached => file.write(offset as usize, data),
            Some(fault) => {
                if fault == Fault::HalfOnce {
                    file.write(offset as usize, &data[..data.len() / 2])?;
                }
                Err(broken())
            }
        }
    }
}
