//! The operator's folder: documents of clients that the server shall know without asking, one file each.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::client::Client;
use super::address::Rules;
use super::fetch::MAX_BYTES;
use super::is_url;
use super::read;
use crate::error::{Error, Result};

/// Files that the folder may hold.
const MAX_FILES: usize = 1_000;

/// The clients that the `.json` files of `folder` describe, by their `client_id`.
///
/// # Errors
/// `Config`, with the file and what is wrong with it.
pub(super) fn read(folder: &Path, rules: &Rules) -> Result<HashMap<String, Client>> {
    let mut found = HashMap::new();
    for file in files(folder)? {
        let wrong = |why: String| {
            Error::config(format!(
                "The client document {} (client_documents_dir) cannot be used: {why}.",
                file.display()
            ))
        };
        let size = fs::metadata(&file).map_err(|error| wrong(error.to_string()))?.len();
        if size > MAX_BYTES as u64 {
            return Err(wrong(format!("it has {size} bytes, and {MAX_BYTES} is the most")));
        }
        let text = fs::read(&file).map_err(|error| wrong(error.to_string()))?;
        let client = client(&text, rules).map_err(wrong)?;
        if let Some(twin) = found.insert(client.id.clone(), client) {
            return Err(wrong(format!("another file has the client_id {} too", twin.id)));
        }
    }
    Ok(found)
}

fn client(text: &[u8], rules: &Rules) -> Result<Client, String> {
    let url = read::id(text)?;
    if !is_url(&url) {
        return Err(format!("client_id is {url:?}, and a document's is its https:// URL"));
    }
    rules.check(&url).map_err(|why| format!("client_id {why}"))?;
    read::client(&url, text)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Error::config(format!(
            "The folder {} (client_documents_dir) cannot be read: {error}.",
            folder.display()
        ))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    if files.len() > MAX_FILES {
        let text = format!(
            "The folder {} (client_documents_dir) holds more than {MAX_FILES} files.",
            folder.display()
        );
        return Err(Error::config(text));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: &str) -> String {
        format!(r#"{{"client_id":"{id}","client_name":"Own","redirect_uris":["https://own.example/cb"]}}"#)
    }

    #[test]
    fn reads_documents_and_says_which_is_wrong() {
        let check = |files: &[(&str, &str)], expected: Result<usize, &str>| {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(folder.path().join(name), text).unwrap();
            }
            match (read(folder.path(), &Rules::new("chat.example.com", false)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.len(), expected),
                (Err(error), Err(expected)) => {
                    assert!(error.public.contains(expected) && error.public.contains("b.json"), "{error}");
                }
                (found, _) => panic!("{files:?}: {:?}", found.map(|found| found.len())),
            }
        };
        let (one, two) = (document("https://own.example/a"), document("https://own.example/b"));
        check(&[("a.json", &one), ("b.json", &two), ("README.md", "x")], Ok(2));
        check(&[], Ok(0));
        check(&[("a.json", &one), ("b.json", &one)], Err("another file has the client_id"));
        check(&[("b.json", "{")], Err("EOF"));
        check(&[("b.json", &document("own"))], Err("is its https:// URL"));
        check(&[("b.json", &document("https://chat.example.com/c"))], Err("this very server"));
        check(
            &[("b.json", &one.replace("https://own.example/cb", "http://own.example/cb"))],
            Err("another machine"),
        );
        check(&[("b.json", &" ".repeat(MAX_BYTES + 1))], Err("bytes"));
        let missing = read(Path::new("no/such/folder"), &Rules::new("", false)).err().unwrap();
        assert!(missing.public.contains("no/such/folder"), "{missing}");
    }
}
