//! `chaterimo diff`: what changed between two lists of tools.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use super::fields::{self, Field};
use super::{Context, reading, runtime};
use crate::conformance::expect::what_came;
use crate::diff::{Class, LISTS, Surface, changes};
use crate::error::{Error, Kind, Result};
use crate::peer::{Dialler, Options, Peer, Target};
use crate::protocol::revision::Revision;
use crate::protocol::rpc::METHOD_NOT_FOUND;
use crate::protocol::transcript::compare::brief;

/// Pages of a list that are asked for.
const MAX_PAGES: usize = 100;

/// `chaterimo diff OLD NEW`
#[derive(clap::Args)]
pub struct Args {
    /// A recording, the result of tools/list, an array of tools, a tool, a folder of tools, or a URL
    #[arg(value_name = "OLD")]
    old: String,
    /// The same of what is to be compared with it
    #[arg(value_name = "NEW")]
    new: String,
    /// A header for each URL, such as 'Authorization: Bearer …'
    #[arg(long = "header", value_name = "'NAME: VALUE'", value_parser = fields::read)]
    headers: Vec<Field>,
    /// Exit with 1 when there is a change of this class or worse
    #[arg(long, value_name = "CLASS", default_value = "breaking")]
    #[arg(value_parser = ["breaking", "additive", "cosmetic", "never"])]
    fail_on: String,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let headers = &self.headers;
        // What cannot be compared is told apart from what changed, by the exit code.
        let read = |place: &str| read(place, headers).map_err(|e| Error { kind: Kind::Invalid, ..e });
        let found = changes(&read(&self.old)?, &read(&self.new)?);
        let count = |class: Class| found.iter().filter(|change| change.class == class).count();
        let [breaking, additive, cosmetic] = [Class::Breaking, Class::Additive, Class::Cosmetic].map(count);
        if self.json {
            let all =
                json!({"breaking": breaking, "additive": additive, "cosmetic": cosmetic, "changes": found});
            context.out.line(all.to_string())?;
        } else {
            for change in &found {
                let place =
                    if change.pointer.is_empty() { String::new() } else { format!(" {}", change.pointer) };
                let what = values(change.old.as_ref(), change.new.as_ref());
                context
                    .out
                    .line(format!("{:8}  {}{place}: {}{what}", change.class, change.of, change.reason))?;
            }
            context.out.line(format!("{breaking} breaking, {additive} additive, {cosmetic} cosmetic"))?;
        }
        let fails = match &*self.fail_on {
            "never" => 0,
            "cosmetic" => found.len(),
            "additive" => breaking + additive,
            _ => breaking,
        };
        match fails {
            0 => Ok(()),
            n => {
                let (all, limit) = (found.len(), &self.fail_on);
                let text = format!("{n} of {all} changes are more than --fail-on {limit} lets pass.");
                Err(Error::new(Kind::Conflict, text))
            }
        }
    }
}

/// What it was and what it is, short, where there is something to show.
fn values(old: Option<&Value>, new: Option<&Value>) -> String {
    match (old.map(brief), new.map(brief)) {
        (Some(old), Some(new)) => format!(" ({old} → {new})"),
        (Some(old), None) => format!(" (was {old})"),
        (None, Some(new)) => format!(" (now {new})"),
        (None, None) => String::new(),
    }
}

fn read(place: &str, headers: &[Field]) -> Result<Surface> {
    if place.starts_with("http://") || place.starts_with("https://") {
        return ask(place, headers);
    }
    let path = Path::new(place);
    match path.is_dir() {
        false => read_file(path),
        true => read_folder(path),
    }
}

fn ask(url: &str, headers: &[Field]) -> Result<Surface> {
    let options = Options { headers: headers.to_vec(), ..Options::new(Target::Url(url.to_owned())) };
    runtime()?.block_on(async {
        let mut peer = Dialler::new(options)?.dial()?;
        let capabilities = open(&mut peer).await?;
        let mut surface = Surface::default();
        for method in LISTS {
            let declared = capabilities.get(method.split('/').next().unwrap_or(method)).is_some();
            list(&mut peer, method, declared, &mut surface).await?;
        }
        peer.close(std::time::Duration::from_secs(1)).await;
        Ok(surface)
    })
}

fn read_file(path: &Path) -> Result<Surface> {
    let named = |text: String| Error::invalid(format!("{}: {text}", path.display()));
    Surface::parse(&reading::text(path)?).map_err(|e| named(e.public))
}

/// The tools of the files in it, by the names of the files.
fn read_folder(path: &Path) -> Result<Surface> {
    let wrong = |e: std::io::Error| Error::invalid(format!("{} cannot be read: {e}.", path.display()));
    let entries: std::io::Result<Vec<_>> = std::fs::read_dir(path).map_err(wrong)?.collect();
    let mut files: Vec<_> = entries.map_err(wrong)?.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort();
    if files.is_empty() {
        return Err(Error::invalid(format!("{} holds no .json file, and so no tools.", path.display())));
    }
    let mut all = Surface::default();
    for file in files {
        all.tools.get_or_insert_default().extend(read_file(&file)?.tools.unwrap_or_default());
    }
    Ok(all)
}

/// Begins in the modern era where the server knows it, else with a handshake; what the server declares.
async fn open(peer: &mut Peer) -> Result<Value> {
    peer.speak_modern(Revision::MODERN.as_str(), json!({}));
    let discovered = peer.ask("server/discover", json!({})).await?;
    if let Some(result) = discovered.result() {
        return Ok(result["capabilities"].clone());
    }
    let opened = peer.shake_hands(Revision::LAST_LEGACY.as_str(), json!({})).await?;
    match (opened.result(), opened.status) {
        (Some(result), _) => Ok(result["capabilities"].clone()),
        (None, Some(status @ (401 | 403))) => Err(Error::new(
            Kind::Unauthorized,
            format!("The server lets nobody in with what --header gives it, or without one (HTTP {status})."),
        )),
        (None, _) => Err(Error::new(
            Kind::Unavailable,
            "The server answers neither server/discover nor initialize as an MCP server does: look at the URL.",
        )),
    }
}

/// All pages of a list. It is empty where the server does not know the method, or fails at what it never `declared`.
///
/// # Errors
/// Whatever else came, for nothing follows from it about what the server offers.
async fn list(peer: &mut Peer, method: &str, declared: bool, surface: &mut Surface) -> Result<()> {
    let failed = |what: String| {
        let text =
            format!("{method}: {what}; so what the server offers is not known, and nothing is compared.");
        Error::new(Kind::Unavailable, text)
    };
    let (mut params, mut seen) = (json!({}), HashSet::new());
    surface.begin(method);
    for page in 0..MAX_PAGES {
        let answer = peer.ask(method, params).await?;
        let Some(result) = answer.result() else {
            let is_empty = page == 0 && (!declared || answer.code() == Some(METHOD_NOT_FOUND.into()));
            return if is_empty { Ok(()) } else { Err(failed(what_came(&answer))) };
        };
        if !surface.take(result.clone()) && declared {
            return Err(failed("the result holds no such list".to_owned()));
        }
        let Some(cursor) = result.get("nextCursor").filter(|cursor| !cursor.is_null()) else { return Ok(()) };
        if !seen.insert(cursor.to_string()) {
            return Err(failed(format!("the cursor {cursor} came a second time")));
        }
        params = json!({"cursor": cursor});
    }
    Err(failed(format!("the list has more than {MAX_PAGES} pages")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_shown_short() {
        let check = |old: Option<Value>, new: Option<Value>, expected: &str| {
            assert_eq!(values(old.as_ref(), new.as_ref()), expected);
        };
        check(Some(json!(["a", "b"])), Some(json!("a")), r#" (["a","b"] → "a")"#);
        check(Some(json!(3)), None, " (was 3)");
        check(None, Some(json!(null)), " (now null)");
        check(None, None, "");
        let long = "x".repeat(100);
        check(None, Some(long.as_str().into()), &format!(" (now \"{}\"…)", &long[..64]));
    }
}
