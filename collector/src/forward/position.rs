//! Where one backend's cursor stands, in memory and on disk.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use spanseal_log::{Cursor, CursorError, DataDir, Durability};
use tokio::time::Instant;
use tracing::warn;

use super::shipment::Shipment;

/// The cursor of one backend and its file.
pub(super) struct Position {
    cursor: Cursor,
    data: DataDir,
    path: PathBuf,
    /// When the file was last written; `None`: it says what the cursor says.
    unsaved_since: Option<Instant>,
}

impl Position {
    /// Reads the file. One that is no cursor is at the start of every stream: spans are sent again, and none is lost.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn load(data: &DataDir, backend: &str) -> io::Result<Self> {
        let path = data.cursor(&format!("forward-{backend}"));
        let cursor = match Cursor::load(data.storage(), &path) {
            Ok(cursor) => cursor,
            Err(CursorError::Io(error)) => return Err(error),
            Err(error) => {
                warn!(backend, %error, "everything is forwarded again");
                Cursor::default()
            }
        };
        Ok(Self { cursor, data: data.clone(), path, unsaved_since: None })
    }

    pub(super) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Notes that a shipment was delivered. The file follows within [`SAVE_EVERY`], since each time costs two fsyncs of
    /// the disk on which the collector seals.
    pub(super) async fn advance(&mut self, sent: &Shipment) {
        self.cursor.advance(sent.stream, sent.next);
        if self.unsaved_since.get_or_insert_with(Instant::now).elapsed() >= SAVE_EVERY {
            self.save().await;
        }
    }

    /// Writes the file now, if it is behind.
    pub(super) async fn save(&mut self) {
        if self.unsaved_since.take().is_none() {
            return;
        }
        let (cursor, data, path) = (self.cursor.clone(), self.data.clone(), self.path.clone());
        let saved = tokio::task::spawn_blocking(move || cursor.save(data.storage(), &path, Durability::Synced)).await;
        if let Err(error) = saved.unwrap_or_else(|panicked| Err(io::Error::other(panicked))) {
            let path = self.path.display();
            warn!(%error, %path, "the cursor cannot be saved; after a restart spans are sent again");
        }
    }
}

const SAVE_EVERY: Duration = Duration::from_secs(1);
