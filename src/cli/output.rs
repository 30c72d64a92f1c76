//! Answers on stdout, complaints on stderr.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write};

use crate::error::{Error, Result, plain};

/// Standard output. A reader who goes away, as `head` does, is no failure.
#[derive(Default)]
pub struct Output {
    gone: bool,
}

impl Output {
    /// Writes `text` and a line feed, at once.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        if self.gone {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{}", plain(text.as_ref())).and_then(|()| out.flush()) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            result => result.map_err(Error::internal),
        }
    }

    /// Says on stderr what a person should know but a script should not read.
    pub fn note(&self, text: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", plain(text.as_ref()));
    }

    /// Writes rows in columns as wide as their widest cell, with `head` above; rows shorter than `head` leave cells empty.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(head.get(column).map(|cell| cell.len())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        self.line(columns(&widths, head))?;
        rows.iter().try_for_each(|row| self.line(columns(&widths, row)))
    }
}

fn columns(widths: &[usize], cells: &[impl AsRef<str>]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(line, "{:width$}  ", cell.as_ref());
    }
    line.truncate(line.trim_end().len());
    line
}

/// Says on stderr what failed, and with `verbose` why.
pub fn complain(error: &Error, verbose: bool) {
    let mut text = format!("chaterimo: {}\n", error.public);
    let mut cause = std::error::Error::source(error).filter(|_| verbose);
    while let Some(error) = cause {
        let _ = writeln!(text, "  because: {error}");
        cause = error.source();
    }
    // Where stderr is gone there is nobody left to tell.
    let _ = std::io::stderr().write_all(plain(&text).as_bytes());
}
