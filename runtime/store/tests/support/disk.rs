//! A disk in memory that fails when told to, forgets what was not synced, and can hold a sync back.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

/// How a disk fails from one operation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Only that operation.
    Once,
    /// That operation, of which the first half happens.
    HalfOnce,
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
}

/// A disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct FaultyDisk(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Since the latest sync, oldest first.
    unsynced: Vec<Undo>,
    /// Writes, changes of length and syncs so far.
    operations: usize,
    fault: Option<(usize, Fault)>,
    read_fault: bool,
    /// Behind the last byte that was ever written.
    reached: usize,
    /// Writes of the header: one a commit.
    commits: usize,
    held: bool,
    waiting: bool,
}

/// How to undo a write.
#[derive(Debug, Clone)]
enum Undo {
    Bytes { offset: usize, before: Vec<u8>, after: Vec<u8> },
    Length { before: usize, after: usize, cut: Vec<u8> },
}

impl FaultyDisk {
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
        let state = self.state();
        let mut bytes = state.bytes.clone();
        if loss != Loss::Nothing {
            for undo in state.unsynced.iter().rev() {
                match undo {
                    Undo::Bytes { offset, before, .. } => {
                        bytes[*offset..*offset + before.len()].copy_from_slice(before)
                    }
                    Undo::Length { before, cut, .. } => {
                        bytes.truncate(*before);
                        bytes.extend_from_slice(cut);
                    }
                }
            }
        }
        if let Loss::Some(number) = loss {
            for (at, undo) in state.unsynced.iter().enumerate() {
                match undo {
                    // A file system keeps lengths in order.
                    Undo::Length { after, .. } => bytes.resize(*after, 0),
                    Undo::Bytes { offset, after, .. } if (number >> (at % 64)) & 1 == 0 => {
                        bytes[*offset..*offset + after.len()].copy_from_slice(after);
                    }
                    Undo::Bytes { .. } => {}
                }
            }
        }
        let disk = Self::default();
        disk.state().bytes = bytes;
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
            state = self.0.1.wait(state).unwrap();
        }
    }

    pub fn release(&self) {
        let mut state = self.state();
        state.held = false;
        self.0.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
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

    fn write(&mut self, offset: usize, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len();
        if end > self.bytes.len() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let place = &mut self.bytes[offset..end];
        let before = place.to_vec();
        place.copy_from_slice(data);
        self.reached = self.reached.max(end);
        self.unsynced.push(Undo::Bytes { offset, before, after: data.to_vec() });
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("this disk is broken on purpose")
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if std::mem::take(&mut state.read_fault) {
            return Err(broken());
        }
        let offset = offset as usize;
        let bytes = state.bytes.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.begin().is_some_and(|fault| fault != Fault::Full) {
            return Err(broken());
        }
        let (before, after) = (state.bytes.len(), len as usize);
        let cut = state.bytes.get(after..).unwrap_or_default().to_vec();
        state.bytes.resize(after, 0);
        state.unsynced.push(Undo::Length { before: before.min(after), after, cut });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        while state.held {
            state.waiting = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).unwrap();
        }
        state.waiting = false;
        if state.begin().is_some_and(|fault| fault != Fault::Full) {
            return Err(broken());
        }
        state.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let fault = state.begin();
        if offset == 0 {
            state.commits += 1;
        }
        match fault {
            None => state.write(offset as usize, data),
            Some(Fault::Full) if offset as usize + data.len() <= state.reached => state.write(offset as usize, data),
            Some(fault) => {
                if fault == Fault::HalfOnce {
                    state.write(offset as usize, &data[..data.len() / 2])?;
                }
                Err(broken())
            }
        }
    }
}
