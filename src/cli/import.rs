//! `chaterimo import`: an operator's own data into the store.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use super::Context;
use super::org::Whose;
use crate::clock;
use crate::error::{Error, Kind, Result};
use crate::import::{Importer, Options, Skipped, Source, Tally};
use crate::store::{DATABASE_FILE, Store, backup};

/// What a file may be, and what comes of it.
const ABOUT: &str = "\
Files are product exports of Shopify (.csv) or JSONL (.jsonl): one object a line, whose member \"type\" says what it is. \
The format is told by the name or, on stdin, by the first character.

Things are known again by their external id, so importing the same files twice changes nothing. A row that is wrong is \
skipped and named by line and reason; the rest goes in. Of a Shopify export, drafts and archived, unlisted or \
unpublished products are left out, and taken out if they were in.

Exit code: 0 when everything is in, 1 when rows were skipped or the import stopped, 2 when a file cannot be read or an \
argument is wrong.";

/// Skipped rows that are shown.
const SHOWN_MAX: usize = 20;
/// Characters of a reason that are shown.
const REASON_CHARS_MAX: usize = 400;

/// `chaterimo import FILE…`
#[derive(clap::Args)]
#[command(after_long_help = ABOUT)]
pub struct Args {
    /// The files; - is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    org: Whose,
    /// The currency of a CSV's prices, such as EUR: the file does not say it
    #[arg(long, value_name = "CODE", value_parser = currency)]
    currency: Option<String>,
    /// The shop's address, such as https://shop.example.com: products of a CSV then get the addresses of their pages
    #[arg(long, value_name = "URL", value_parser = shop_url)]
    shop_url: Option<String>,
    /// Change nothing: import into a copy of the database, which is deleted afterwards
    #[arg(long)]
    dry_run: bool,
    /// Write every skipped row to this file, a line each: file, line and reason
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn currency(code: &str) -> Result<String, String> {
    let is_one = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_one {
        Ok(code.to_ascii_uppercase())
    } else {
        Err("wanted a code of three letters such as EUR".into())
    }
}

fn shop_url(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    let plain =
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#<>\"".contains(&byte));
    if plain {
        Ok(url.trim_end_matches('/').to_owned())
    } else {
        Err("wanted one such as https://shop.example.com".into())
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        // Made first, so that nothing is imported that cannot be reported.
        let report = self.report.as_deref().map(create).transpose()?;
        let names: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        let tally = if self.dry_run {
            let copy = Copy::of(&context.config.data_dir)?;
            self.import(&Store::open(&copy.0)?, &names, context)?
        } else {
            self.import(&context.open()?, &names, context)?
        };
        if let (Some(path), Some(file)) = (&self.report, report) {
            write_report(path, file, &names, &tally)?;
        }
        self.sum_up(context, &names, &tally)
    }

    fn import(&self, store: &Store, names: &[String], context: &Context) -> Result<Tally> {
        let organisation = store.read(|tx| self.org.find(tx))?;
        let bar = progress_bar(&self.files);
        let sources = self.files.iter().zip(names).map(|(file, name)| Source::open(name, open(file, &bar)?));
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let options = Options { currency: self.currency.clone(), shop_url: self.shop_url.clone() };
        let mut importer = Importer::new(store, organisation.tenant, context.clock.now());
        for (number, source) in sources.into_iter().enumerate() {
            bar.set_message(source.name().to_owned());
            source.for_each(&options, |row| importer.add(number, row))?;
        }
        importer.finish()
    }

    fn sum_up(&self, context: &mut Context, names: &[String], tally: &Tally) -> Result<()> {
        let rows = tally.kinds().map(|(kind, counts)| {
            let numbers = [counts.created, counts.updated, counts.unchanged, counts.left_out, counts.skipped];
            [kind.to_owned()].into_iter().chain(numbers.map(|number| number.to_string())).collect()
        });
        let head = ["KIND", "CREATED", "UPDATED", "UNCHANGED", "LEFT OUT", "SKIPPED"];
        context.out.table(&head, &rows.collect::<Vec<_>>())?;
        for (reason, number) in &tally.left_out {
            context.out.line(format!("Left out because {reason}: {number}."))?;
        }
        if tally.removed > 0 {
            context
                .out
                .line(format!("Taken out of the store, for they were in it before: {}.", tally.removed))?;
        }
        if self.dry_run {
            context.out.line("Nothing was changed: this was a dry run.")?;
        }
        let skipped = tally.total().skipped;
        if skipped == 0 {
            return Ok(());
        }
        for row in tally.skipped.iter().take(SHOWN_MAX) {
            context.out.note(described(row, names));
        }
        let more = match (skipped.saturating_sub(SHOWN_MAX as u64), &self.report) {
            (0, _) => String::new(),
            (more, None) => format!(", {more} of them not shown: --report FILE writes them all down"),
            (_, Some(report)) => format!("; {} has them all", report.display()),
        };
        let rows = if skipped == 1 { "1 row was".to_owned() } else { format!("{skipped} rows were") };
        Err(Error::new(Kind::Conflict, format!("{rows} skipped{more}. All others were taken.")))
    }
}

/// One line about a skipped row. Its text is the file's: no control character of it reaches the terminal.
fn described(row: &Skipped, names: &[String]) -> String {
    let name = names.get(row.file).map_or("", String::as_str);
    let reason: String = row.reason.chars().take(REASON_CHARS_MAX).collect();
    let line = format!("{name}:{}: {reason}", row.line);
    line.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|e| unwritable(path, e))
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written: {cause}.", path.display())).because(cause)
}

fn write_report(path: &Path, mut file: File, names: &[String], tally: &Tally) -> Result<()> {
    let mut text: String = tally.skipped.iter().map(|row| described(row, names) + "\n").collect();
    let unnamed = tally.total().skipped.saturating_sub(tally.skipped.len() as u64);
    if unnamed > 0 {
        text += &format!("and {unnamed} more\n");
    }
    file.write_all(text.as_bytes()).map_err(|e| unwritable(path, e))
}

/// A bar over the bytes of all files, on stderr, where that is a terminal.
fn progress_bar(files: &[PathBuf]) -> ProgressBar {
    let size = |file: &PathBuf| fs::metadata(file).ok().filter(fs::Metadata::is_file).map(|it| it.len());
    let bar = match files.iter().map(size).sum::<Option<u64>>() {
        Some(bytes) => ProgressBar::new(bytes),
        None => ProgressBar::new_spinner(),
    };
    let style = match bar.length() {
        Some(_) => "{bar:40} {bytes}/{total_bytes}, {eta} left, {msg}",
        None => "{spinner} {bytes}, {msg}",
    };
    let bar = bar.with_finish(ProgressFinish::AndClear);
    bar.with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn open(file: &Path, bar: &ProgressBar) -> Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(bar.wrap_read(std::io::stdin().lock()))));
    }
    let unreadable = |e| Error::invalid(format!("{} cannot be read: {e}.", file.display())).because(e);
    Ok(Box::new(BufReader::new(bar.wrap_read(File::open(file).map_err(unreadable)?))))
}

/// A folder with a copy of the database, gone with this value.
struct Copy(PathBuf);

impl Copy {
    fn of(folder: &Path) -> Result<Copy> {
        let copy = Copy(folder.join(format!("dry-run-{}", HEXLOWER.encode(&clock::random::<8>()))));
        if folder.join(DATABASE_FILE).exists() {
            fs::create_dir(&copy.0).map_err(|e| unwritable(&copy.0, e))?;
        }
        backup::save(folder, &copy.0.join(DATABASE_FILE))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be deleted now is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}
