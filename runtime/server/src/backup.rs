//! Backups: one file that holds everything, taken while the server works, and the folder that such a file becomes.
//!
//! ```text
//! "camshaft backup\n", format u32, time taken u64 (microseconds since 1970)
//! for each file:   'f', length of its name u8, its name, length u32, bytes     `keys`, and `admin-token` where there is one
//! then in pieces:  'd', length u32, bytes                                      the store's own copy
//! 'e', BLAKE3 digest of everything before this line
//! ```
//!
//! Numbers are big-endian. It is written from its beginning to its end without a look back, so that it can be streamed, and
//! read twice: the digest first, so that nothing is made of a file that is not whole. **It holds the key of the secrets**:
//! whoever has it has everything.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use camshaft_model::seams::{Clock, Snapshot, Store, StoreError};
use camshaft_model::time::Timestamp;
use camshaft_store::RedbStore;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::folder::DataFolder;

/// The format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;
const MARK: &[u8; 16] = b"camshaft backup\n";
const DIGEST_BYTES: usize = 32;
/// Files beside the database, as their names are in the data folder.
const FILES: [&str; 2] = ["keys", "admin-token"];
/// The database's file in the data folder.
pub(crate) const DATABASE: &str = "camshaft.redb";
/// Its name while it is not whole.
const UNFINISHED: &str = "camshaft.redb.restoring";
/// Largest file beside the database, bytes.
const FILE_BYTES_MAX: usize = 64 << 10;
/// A client that takes nothing for so long is left: meanwhile nothing that is freed can be used again.
const STALLED: Duration = Duration::from_secs(60);

/// Takes backups, one at a time.
pub struct Backups {
    folder: DataFolder,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    room: Arc<Semaphore>,
}

/// Why no backup is taken.
#[derive(Debug, thiserror::Error)]
pub enum NoBackup {
    /// One at a time.
    #[error("a backup is being taken already; there is one at a time")]
    UnderWay,
    /// The store gives no copy.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the data folder cannot be read.
    #[error("{0:#}")]
    Folder(anyhow::Error),
}

/// A backup under way: its bytes, in order. An error is its end.
pub struct Taking {
    /// The moment it shows.
    pub taken_at: Timestamp,
    /// Some hundred KiB each.
    pub pieces: BoxStream<'static, io::Result<Bytes>>,
}

impl Backups {
    /// Of a data folder and the store in it.
    pub fn new(folder: DataFolder, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { folder, store, clock, room: Arc::new(Semaphore::new(1)) }
    }

    /// Begins a backup: everything that was acknowledged before the call is in it, and nothing of what comes after it returns.
    pub async fn take(&self) -> Result<Taking, NoBackup> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| NoBackup::UnderWay)?;
        let mut files = Vec::new();
        for name in FILES {
            if let Some(text) = self.folder.read(name).map_err(NoBackup::Folder)? {
                files.push((name, text));
            }
        }
        let snapshot = self.store.snapshot().await?;
        let taken_at = self.clock.now();
        let (pieces, taken) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut writer = Writer { pieces, hasher: blake3::Hasher::new(), _room: room };
            if let Err(why) = writer.everything(taken_at, &files, snapshot).await {
                tracing::warn!(why, "a backup was broken off");
                // An end without an error would look like a whole answer.
                let _ = tokio::time::timeout(STALLED, writer.pieces.send(Err(io::Error::other(why)))).await;
            }
        });
        let pieces =
            futures::stream::unfold(taken, |mut taken| async move { taken.recv().await.map(|piece| (piece, taken)) });
        Ok(Taking { taken_at, pieces: Box::pin(pieces) })
    }
}

/// Hands on what is written, and remembers its digest.
struct Writer {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    hasher: blake3::Hasher,
    _room: OwnedSemaphorePermit,
}

impl Writer {
    async fn everything(
        &mut self,
        taken_at: Timestamp,
        files: &[(&str, String)],
        mut snapshot: Snapshot,
    ) -> Result<(), String> {
        let mut head = MARK.to_vec();
        head.extend_from_slice(&FORMAT.to_be_bytes());
        head.extend_from_slice(&taken_at.0.to_be_bytes());
        for (name, text) in files {
            head.extend_from_slice(&[b'f', name.len() as u8]);
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(&(text.len() as u32).to_be_bytes());
            head.extend_from_slice(text.as_bytes());
        }
        self.write(head.into()).await?;
        while let Some(piece) = snapshot.next().await {
            let piece = piece.map_err(|error| error.to_string())?;
            let length = u32::try_from(piece.len()).map_err(|_| format!("a piece has {} bytes", piece.len()))?;
            let mut head = vec![b'd'];
            head.extend_from_slice(&length.to_be_bytes());
            self.write(head.into()).await?;
            self.write(piece).await?;
        }
        let mut end = vec![b'e'];
        end.extend_from_slice(self.hasher.finalize().as_bytes());
        self.write(end.into()).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), String> {
        self.hasher.update(&bytes);
        match tokio::time::timeout(STALLED, self.pieces.send(Ok(bytes))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("its reader went away".to_owned()),
            Err(_) => Err(format!("its reader took nothing for {} s", STALLED.as_secs())),
        }
    }
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The moment it shows.
    pub taken_at: Timestamp,
    /// Its length.
    pub bytes: u64,
}

/// What became of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The moment that it shows.
    pub taken_at: Timestamp,
    /// How many executions are there.
    pub executions: u64,
}

/// Reads a backup from its first byte to its last. Errors name the file: no backup, one of a newer format, one that breaks off,
/// one that was altered.
pub fn check(path: &Path) -> Result<Checked> {
    check_open(&open(path)?).with_context(|| path.display().to_string())
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

fn check_open(file: &File) -> Result<Checked> {
    let mut source = Source::new(BufReader::with_capacity(1 << 20, file));
    let taken_at = source.head()?;
    let (mut tag, _) = source.files()?;
    let mut buffer = vec![0; 256 << 10];
    while tag == b'd' {
        let mut left = source.length()?;
        while left > 0 {
            let part = left.min(buffer.len());
            source.exactly(&mut buffer[..part])?;
            left -= part;
        }
        tag = source.tag()?;
    }
    ensure!(tag == b'e', "it was altered: byte {tag} stands at {}, where a piece should begin", source.at - 1);
    let expected = source.digest;
    let mut found = [0; DIGEST_BYTES];
    source.exactly(&mut found)?;
    ensure!(expected.is_some_and(|expected| expected == found), "it was altered: its digest is another one");
    let bytes = source.at;
    ensure!(source.reader.read(&mut [0])? == 0, "it was altered: something follows its end, at {bytes}");
    Ok(Checked { taken_at, bytes })
}

/// Makes a data folder of a backup, for a server that is not running yet. The folder is made, or must be empty; nothing is
/// written before the whole backup was checked, and where something fails after that the folder is empty again.
pub fn restore(path: &Path, data: &Path) -> Result<Restored> {
    let file = open(path)?;
    check_open(&file).with_context(|| path.display().to_string())?;
    let found = match fs::read_dir(data) {
        Ok(mut found) => found.next().transpose().with_context(|| format!("cannot read {}", data.display()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", data.display())),
    };
    if let Some(found) = found {
        bail!(
            "the folder {} is not empty, it holds `{}`: restore into an empty or a new one",
            data.display(),
            found.file_name().to_string_lossy()
        );
    }
    let folder = DataFolder::open(data)?;
    fill(&file, &folder).inspect_err(|_| clear(&folder)).with_context(|| path.display().to_string())
}

fn fill(mut file: &File, folder: &DataFolder) -> Result<Restored> {
    file.rewind()?;
    let mut source = Source::new(BufReader::with_capacity(1 << 20, file));
    let taken_at = source.head()?;
    let (tag, files) = source.files()?;
    let unfinished = folder.path(UNFINISHED);
    let executions = RedbStore::restore(&unfinished, BufReader::new(Pieces { source, tag, left: 0 }))?;
    for (name, text) in files {
        folder.write_private(&name, &text)?;
    }
    folder.rename(UNFINISHED, DATABASE)?;
    Ok(Restored { taken_at, executions })
}

/// Takes away what `fill` may have made.
fn clear(folder: &DataFolder) {
    for name in FILES.into_iter().chain([UNFINISHED]) {
        let _ = fs::remove_file(folder.path(name));
    }
}

/// A backup as it is read, with the digest of what was read.
struct Source<R> {
    reader: R,
    hasher: blake3::Hasher,
    /// Of everything before the end's tag, once that was read.
    digest: Option<[u8; DIGEST_BYTES]>,
    at: u64,
}

impl<R: Read> Source<R> {
    fn new(reader: R) -> Self {
        Self { reader, hasher: blake3::Hasher::new(), digest: None, at: 0 }
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<()> {
        match self.reader.read_exact(buffer) {
            Ok(()) => {
                self.hasher.update(buffer);
                self.at += buffer.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                bail!("it is not whole: it breaks off behind byte {}", self.at)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn tag(&mut self) -> Result<u8> {
        let before = self.hasher.finalize();
        let mut tag = [0];
        self.exactly(&mut tag)?;
        if tag[0] == b'e' {
            self.digest = Some(*before.as_bytes());
        }
        Ok(tag[0])
    }

    fn length(&mut self) -> Result<usize> {
        let mut length = [0; 4];
        self.exactly(&mut length)?;
        Ok(u32::from_be_bytes(length) as usize)
    }

    /// The time taken, of a backup of our format.
    fn head(&mut self) -> Result<Timestamp> {
        let mut mark = [0; MARK.len()];
        if self.exactly(&mut mark).is_err() || mark != *MARK {
            bail!("it is no backup of Camshaft");
        }
        let format = self.length()? as u32;
        ensure!(
            format <= FORMAT,
            "it is a backup of format {format}, and this version reads formats up to {FORMAT}: a newer Camshaft wrote it; \
             restore it with that version"
        );
        ensure!(format > 0, "it was altered: it is a backup of format 0, which no version ever wrote");
        let mut time = [0; 8];
        self.exactly(&mut time)?;
        Ok(Timestamp(u64::from_be_bytes(time)))
    }

    /// The files beside the database, and the tag of what follows them.
    fn files(&mut self) -> Result<(u8, Vec<(String, String)>)> {
        let mut files = Vec::new();
        loop {
            let tag = self.tag()?;
            if tag != b'f' {
                return Ok((tag, files));
            }
            let mut length = [0];
            self.exactly(&mut length)?;
            let name = self.text(usize::from(length[0]))?;
            ensure!(FILES.contains(&name.as_str()), "it was altered: it holds a file `{}`", name.escape_debug());
            let length = self.length()?;
            ensure!(length <= FILE_BYTES_MAX, "it was altered: its file `{name}` has {length} bytes");
            let text = self.text(length)?;
            files.push((name, text));
        }
    }

    fn text(&mut self, length: usize) -> Result<String> {
        let mut bytes = vec![0; length];
        self.exactly(&mut bytes)?;
        String::from_utf8(bytes).ok().context("it was altered: a name or a key is no text")
    }
}

/// The store's own copy, out of the pieces.
struct Pieces<R> {
    source: Source<R>,
    tag: u8,
    /// Bytes of the piece that are still to come.
    left: usize,
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            if self.tag != b'd' {
                return Ok(0);
            }
            self.left = self.source.length().map_err(io::Error::other)?;
            if self.left == 0 {
                self.tag = self.source.tag().map_err(io::Error::other)?;
            }
        }
        let part = self.left.min(buffer.len());
        self.source.exactly(&mut buffer[..part]).map_err(io::Error::other)?;
        self.left -= part;
        if self.left == 0 && part > 0 {
            self.tag = self.source.tag().map_err(io::Error::other)?;
        }
        Ok(part)
    }
}
