//! What every command prints: text for people, or one JSON document with `--json`.

use std::io::{self, Write};

use serde::Serialize;

/// The flags about output, the same on every command.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Output {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Output {
    /// Prints `answer` to standard output: as JSON, or by `text`. A reader that went away is no error.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn print<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(&T, &mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let written = if self.json {
            serde_json::to_writer_pretty(&mut out, answer).map_err(io::Error::from).and_then(|()| writeln!(out))
        } else {
            text(answer, &mut out)
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
