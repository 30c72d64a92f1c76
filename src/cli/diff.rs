//! `chaterimo diff`: what changed between two lists of tools.

use std::path::Path;

use serde_json::{Value, json};

use super::fields::{self, Field};
use super::{Context, reading, runtime};
use crate::diff::{Class, LISTS, Surface, changes};
use crate::error::{Error, Kind, Result};
use crate::peer::{Dialler, Options, Peer, Target};
use crate::protocol::revision::Revision;

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
                context.out.line(format!("{:8}  {}{place}: {}", change.class, change.of, change.reason))?;
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
        open(&mut peer).await?;
        let mut surface = Surface::default();
        for method in LISTS {
            list(&mut peer, method, &mut surface).await?;
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

/// Begins in the modern era where the server knows it, else with a handshake.
async fn open(peer: &mut Peer) -> Result<()> {
    peer.speak_modern(Revision::MODERN.as_str(), json!({}));
    let discovered = peer.ask("server/discover", json!({})).await?;
    if discovered.result().is_some() {
        return Ok(());
    }
    let opened = peer.shake_hands(Revision::LAST_LEGACY.as_str(), json!({})).await?;
    match (opened.result(), opened.status) {
        (Some(_), _) => Ok(()),
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

/// All pages of a list; none where the server has no such list.
async fn list(peer: &mut Peer, method: &str, surface: &mut Surface) -> Result<()> {
    let mut params = json!({});
    surface.begin(method);
    for _ in 0..MAX_PAGES {
        let answer = peer.ask(method, params).await?;
        let Some(result) = answer.result() else { return Ok(()) };
        surface.take(result.clone());
        match result.get("nextCursor").filter(|cursor| cursor.is_string()) {
            Some(cursor) => params = json!({"cursor": Value::clone(cursor)}),
            None => return Ok(()),
        }
    }
    Ok(())
}
