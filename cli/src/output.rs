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
        self.print_as(answer, text, serde_json::to_string_pretty)
    }

    /// As [`Output::print`], with the JSON on one line: for answers that others read while the program runs on.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn print_line<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(&T, &mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.print_as(answer, text, serde_json::to_string)
    }

    fn print_as<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(&T, &mut dyn Write) -> io::Result<()>,
        json: impl FnOnce(&T) -> serde_json::Result<String>,
    ) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        let written = if self.json { writeln!(out, "{}", json(answer)?) } else { text(answer, &mut out) };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
