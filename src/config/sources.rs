//! Where values come from: flags, environment, file, default, in this order.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::values::Parsed;
use super::{Reach, Row, SETTINGS, Setting};
use crate::error::{Error, Result};

/// The file's name in the data directory.
const FILE: &str = "chaterimo.toml";
/// Bytes a settings file may have.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Variables of ours that are no settings.
const OTHER_VARIABLES: &[&str] = &["CHATERIMO_CONFIG"];

/// What the command line says: the file to read, and values by the names of their settings.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Values by name of setting.
    pub values: BTreeMap<&'static str, String>,
}

/// Environment variables; one that is empty counts as not set.
#[derive(Clone, Debug, Default)]
pub struct Environment(pub BTreeMap<String, String>);

impl Environment {
    /// Those of this process.
    ///
    /// # Errors
    /// `Kind::Config` when one of ours is not UTF-8.
    pub fn of_process() -> Result<Environment> {
        let mut variables = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if name.starts_with("CHATERIMO_") => {
                    return Err(Error::config(format!("{name} is not UTF-8: set it to a text that is.")));
                }
                Err(_) => {}
            }
        }
        Ok(Environment(variables))
    }

    fn get(&self, name: &str) -> Option<&String> {
        self.0.get(name).filter(|value| !value.is_empty())
    }

    fn unknown(&self) -> Vec<String> {
        let ours = self.0.keys().filter(|name| name.starts_with("CHATERIMO_"));
        let known =
            |name: &str| SETTINGS.iter().any(|s| s.variable() == name) || OTHER_VARIABLES.contains(&name);
        ours.filter(|name| !known(name)).cloned().collect()
    }
}

/// Who said what a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A settings file.
    File(PathBuf),
    /// Nobody.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "flag --{name}"),
            Origin::Variable(name) => write!(f, "variable {name}"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// Every setting's text with its origin, before it is parsed.
pub(super) struct Found {
    pub rows: Vec<Row>,
    pub file: Option<PathBuf>,
    pub unknown_variables: Vec<String>,
}

impl Found {
    /// The value of setting `name`, as `parse` reads it.
    pub fn parse<T>(&self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> Result<T> {
        let row = self.rows.iter().find(|row| row.setting.name == name);
        let row = row.ok_or_else(|| Error::internal(format!("setting {name} has no row")))?;
        parse(&row.text).map_err(|wanted| {
            let shown = if row.setting.reach == Reach::Secret {
                "(hidden)".to_owned()
            } else {
                format!("{:?}", row.text)
            };
            Error::config(format!("{name} is {shown} (from {}); wanted is {wanted}.", row.origin))
        })
    }
}

/// Looks every setting up.
pub(super) fn find(flags: &Flags, environment: &Environment) -> Result<Found> {
    let file = settings_file(flags, environment)?;
    let mut values = match &file {
        Some(path) => read_file(path)?,
        None => BTreeMap::new(),
    };
    let named = named_file(flags, environment).is_some();
    if let (Some(path), false, true) = (&file, named, values.contains_key("data_dir")) {
        return Err(Error::config(format!(
            "{} sets data_dir, but lies in the data directory itself: take the line out, and give --data-dir, \
             CHATERIMO_DATA_DIR or a file elsewhere with --config.",
            path.display()
        )));
    }
    let mut rows = Vec::with_capacity(SETTINGS.len());
    for setting in SETTINGS {
        let in_file = file.as_ref().zip(values.remove(setting.name));
        let in_file = in_file.map(|(path, text)| (text, Origin::File(path.clone())));
        let found = given(setting, flags, environment).or(in_file);
        let (text, origin) = match found {
            Some(found) => found,
            None => (default_of(setting, environment)?, Origin::Default),
        };
        rows.push(Row { setting, text, origin });
    }
    Ok(Found { rows, file, unknown_variables: environment.unknown() })
}

/// What flag or environment say.
fn given(setting: &'static Setting, flags: &Flags, environment: &Environment) -> Option<(String, Origin)> {
    if let Some(text) = flags.values.get(setting.name) {
        return Some((text.clone(), Origin::Flag(setting.flag())));
    }
    let variable = setting.variable();
    environment.get(&variable).map(|text| (text.clone(), Origin::Variable(variable.clone())))
}

/// The default; that of `data_dir` is the platform's folder for data.
fn default_of(setting: &Setting, environment: &Environment) -> Result<String> {
    if setting.name != "data_dir" {
        return Ok(setting.default.to_owned());
    }
    let data = environment.get("XDG_DATA_HOME").filter(|folder| Path::new(folder).is_absolute());
    let home = || environment.get("HOME").map(|home| format!("{home}/.local/share"));
    let folder = data.cloned().or_else(home);
    folder.map(|folder| format!("{folder}/chaterimo")).ok_or_else(|| {
        Error::config("There is no folder for data: neither data_dir nor HOME is set. Give --data-dir DIR.")
    })
}

/// The file that somebody named.
fn named_file(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    flags.file.clone().or_else(|| environment.get("CHATERIMO_CONFIG").map(PathBuf::from))
}

/// The file to read: the one named, which must be there, or the data directory's, which need not.
fn settings_file(flags: &Flags, environment: &Environment) -> Result<Option<PathBuf>> {
    if let Some(path) = named_file(flags, environment) {
        return Ok(Some(path));
    }
    let Some(setting) = SETTINGS.iter().find(|setting| setting.name == "data_dir") else { return Ok(None) };
    let folder = match given(setting, flags, environment) {
        Some((folder, _)) => folder,
        None => default_of(setting, environment)?,
    };
    let path = Path::new(&folder).join(FILE);
    Ok(path.exists().then_some(path))
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>> {
    let shown = path.display();
    let unreadable = |e: std::io::Error| Error::config(format!("{shown} cannot be read: {e}.")).because(e);
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(Error::config(format!(
            "{shown} is larger than {MAX_FILE_BYTES} bytes: is it a settings file?"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        Error::config(format!("{shown} is not TOML: {}.", e.to_string().trim_end().replace('\n', " ")))
            .because(e)
    })?;
    table.into_iter().map(|(key, value)| read_entry(path, key, &value)).collect()
}

fn read_entry(path: &Path, key: String, value: &toml::Value) -> Result<(String, String)> {
    if !SETTINGS.iter().any(|setting| setting.name == key) {
        let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        let names = names.join(", ");
        return Err(Error::config(format!(
            "{} sets {key:?}, which is no setting. The settings are {names}.",
            path.display()
        )));
    }
    let text = match value {
        toml::Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            items.filter(|items| items.iter().all(|item| !item.contains(','))).map(|items| items.join(","))
        }
        value => scalar(value),
    };
    let text = text.ok_or_else(|| {
        let wanted = "a text, a whole number, true, false, or a list of texts without commas";
        Error::config(format!("{key} in {} is a {}; wanted is {wanted}.", path.display(), value.type_str()))
    })?;
    Ok((key, text))
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    }
}
