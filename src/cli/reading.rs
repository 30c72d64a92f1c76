//! The files that the developer's commands read.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::error::{Error, Result};
use crate::protocol::transcript::Transcript;

/// Bytes of a file at most.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// The recording in `file`.
///
/// # Errors
/// `Invalid` when it cannot be read, is none, or holds no message.
pub(super) fn recording(file: &Path) -> Result<Transcript> {
    let named = |text: &str| Error::invalid(format!("{}: {text}", file.display()));
    let transcript = Transcript::parse(&text(file)?).map_err(|e| named(&e.public).because(e))?;
    match transcript.lines.is_empty() {
        true => Err(named("The recording holds no message.")),
        false => Ok(transcript),
    }
}

/// The text in `file`, without a mark of its byte order.
///
/// # Errors
/// `Invalid` when it cannot be read, is too large, or is no text.
pub(super) fn text(file: &Path) -> Result<String> {
    let wrong = |why: &str| Error::invalid(format!("{} {why}.", file.display()));
    let unread = |e: std::io::Error| {
        match e.kind() {
            ErrorKind::NotFound => wrong("is not there"),
            ErrorKind::IsADirectory => wrong("is a folder, and a file is wanted"),
            _ => wrong(&format!("cannot be read: {e}")),
        }
        .because(e)
    };
    let mut bytes = Vec::new();
    File::open(file).map_err(unread)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(&format!("has more than {} MiB", MAX_BYTES / 1024 / 1024)));
    }
    let text = String::from_utf8(bytes).map_err(|e| wrong("is no text of UTF-8").because(e))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        r#"{"transcript":1,"client":{"name":"","version":""},"transport":"stdio","endpoint":"full"}"#;
    const LINE: &str = r#"{"at_ms":0,"from":"client","message":{"jsonrpc":"2.0","id":1,"method":"ping"}}"#;

    #[test]
    fn what_is_no_recording_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        let check = |bytes: &[u8], expected: &str| {
            std::fs::write(&file, bytes).unwrap();
            let error = recording(&file).unwrap_err();
            assert_eq!(error.public, format!("{}{expected}", file.display()));
            assert_eq!(error.kind.exit_code(), 2);
        };
        let no_recording = ": Line 1 is no first line of a recording, such as {\"transcript\":1,…}.";
        check(b"", ": The transcript is empty.");
        check(b" \n\n", ": The transcript is empty.");
        check(b"hello\n", no_recording);
        check(b"{\"tools\":[]}", no_recording);
        check(&HEADER.as_bytes()[..60], no_recording);
        check(b"\0\0", no_recording);
        check(b"\xff\xfe\0", " is no text of UTF-8.");
        let later = HEADER.replace("\"transcript\":1", "\"transcript\":2,\"new\":true");
        check(
            later.as_bytes(),
            ": Line 1: this is version 2 of the format, and 1 is read; a later chaterimo may read it.",
        );
        check(HEADER.as_bytes(), ": The recording holds no message.");
        // Cut in the middle, and not at its end.
        let cut = format!("{HEADER}\n{}\n{LINE}\n", &LINE[..30]);
        check(cut.as_bytes(), ": Line 2: EOF while parsing a string, in column 30.");
        let long = format!("{HEADER}\n{}\n", "x".repeat(5 * 1024 * 1024));
        check(long.as_bytes(), ": Line 2 has more than 4194304 bytes.");

        let check = |path: &Path, expected: &str| {
            let error = recording(path).unwrap_err();
            assert_eq!(error.public, format!("{} {expected}", path.display()));
        };
        check(&folder.path().join("nothing"), "is not there.");
        check(folder.path(), "is a folder, and a file is wanted.");
    }

    #[test]
    fn what_editors_and_killed_recorders_leave_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.jsonl");
        for text in [
            format!("\u{feff}{HEADER}\r\n{LINE}\r\n"),
            format!("{HEADER}\n{LINE}"),
            format!("{HEADER}\n{LINE}\n{}", &LINE[..30]),
        ] {
            std::fs::write(&file, &text).unwrap();
            assert_eq!(recording(&file).unwrap().lines.len(), 1, "{text}");
        }
    }
}
