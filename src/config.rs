//! Every setting, default and limit, read once at the start: flag, then environment variable, then file, then default.
//!
//! The table below is the whole list. A row is a field of [`Config`], a key of `chaterimo.toml`, a variable
//! `CHATERIMO_<NAME>`, a flag `--<name>` where its column says so, and a line of `chaterimo config check`.

mod sources;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use sources::{Environment, Flags, Origin};
pub use values::{ClientDocuments, LogFormat, Network, PublicUrl, Secret};

use crate::error::{Error, Result};
use values::{flag, list, number, optional, path, text};

/// Which commands take a setting as a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every command.
    Everywhere,
    /// The commands that serve or check what is served.
    Serving,
    /// None: it is a secret, and other users of the machine can read flags.
    Secret,
}

/// A row of the table: what is known of a setting before its value is read.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file; the field of [`Config`].
    pub name: &'static str,
    /// What it does, one sentence or two.
    pub about: &'static str,
    /// The value when nobody says otherwise, as one would write it in the environment; empty for none.
    pub default: &'static str,
    /// Which commands take it as a flag.
    pub reach: Reach,
    /// Whether it is a switch, so that its flag needs no value.
    pub switch: bool,
}

impl Setting {
    /// The environment variable: `CHATERIMO_` and the name in capitals.
    pub fn variable(&self) -> String {
        format!("CHATERIMO_{}", self.name.to_uppercase())
    }

    /// The flag, without its dashes: the name with hyphens.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// A setting as it stands: the text of its value, and who said so.
#[derive(Debug)]
pub struct Row {
    /// The row of the table.
    pub setting: &'static Setting,
    /// Its value as text; a list is joined by commas, none is empty.
    pub text: String,
    /// Where the value comes from.
    pub origin: Origin,
}

macro_rules! settings {
    ($( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:literal, $reach:ident, $parse:expr; )+) => {
        /// The table of settings, in the order they are shown.
        pub const SETTINGS: &[Setting] = &[$( Setting {
            name: stringify!($name),
            about: concat!($($doc),+),
            default: $default,
            reach: Reach::$reach,
            switch: matches!(stringify!($type).as_bytes(), b"bool"),
        } ),+];

        /// Every setting with its value.
        #[derive(Debug)]
        pub struct Config {
            $( $(#[doc = $doc])+ pub $name: $type, )+
            /// The same settings as text with where each came from, in the order of the table.
            pub rows: Vec<Row>,
            /// The file that was read.
            pub file: Option<PathBuf>,
            /// Variables that begin with `CHATERIMO_` and are no setting: most likely slips of the pen.
            pub unknown_variables: Vec<String>,
        }

        fn parse(found: sources::Found) -> Result<Config> {
            Ok(Config {
                $( $name: found.parse(stringify!($name), $parse)?, )+
                rows: found.rows,
                file: found.file,
                unknown_variables: found.unknown_variables,
            })
        }
    };
}

settings! {
    /// The folder that holds the database, the keyring and the settings file.
    data_dir: PathBuf = "", Everywhere, path;
    /// Which events are logged: a level (error, warn, info, debug, trace), or a filter such as chaterimo::http=debug,warn.
    log: String = "info", Everywhere, text;
    /// How log lines are written on stderr: text or json.
    log_format: LogFormat = "text", Everywhere, LogFormat::parse;
    /// The address and port to listen on; port 0 picks a free one.
    listen: SocketAddr = "127.0.0.1:8787", Serving, values::address;
    /// The URL under which clients reach the server, without path; needed when it listens beyond this machine.
    public_url: Option<PublicUrl> = "", Serving, |t| optional(t, PublicUrl::parse);
    /// Host names that requests may be addressed to, beside those of public_url and of this machine.
    allowed_hosts: Vec<String> = "", Serving, |t| list(t, values::host);
    /// Origins whose pages may call the server from a browser, beside its own.
    allowed_origins: Vec<String> = "", Serving, |t| list(t, values::origin);
    /// Addresses or networks of reverse proxies whose X-Forwarded-For is believed.
    trusted_proxies: Vec<Network> = "", Serving, |t| list(t, Network::parse);
    /// The PEM file with the server's certificate chain; together with tls_key it turns TLS on.
    tls_cert: Option<PathBuf> = "", Serving, |t| optional(t, path);
    /// The PEM file with the private key of tls_cert.
    tls_key: Option<PathBuf> = "", Serving, |t| optional(t, path);
    /// Serve other machines without TLS: credentials then travel in the clear.
    insecure_http: bool = "false", Serving, flag;
    /// Offer the 12 reading tools only, whatever a credential allows.
    read_only: bool = "false", Serving, flag;
    /// Answer tokenized URLs, for clients that can send no header; each organisation must allow its own as well.
    tokenized_urls: bool = "false", Serving, flag;
    /// Days after which a session nobody used is forgotten.
    session_idle_days: u32 = "30", Serving, |t| number(t, 1, 3_650);
    /// Seconds that an access token of OAuth lives; clients refresh it by themselves.
    access_token_seconds: u32 = "3600", Serving, |t| number(t, 300, 86_400);
    /// Days after which an app that was not used must be authorized again.
    refresh_idle_days: u32 = "30", Serving, |t| number(t, 1, 365);
    /// Days after which an app must be authorized again, however much it is used.
    grant_days: u32 = "180", Serving, |t| number(t, 1, 3_650);
    /// Days that the log of calls goes back; what is older is deleted.
    log_days: u32 = "400", Serving, |t| number(t, 1, 36_500);
    /// Whether apps may register themselves (RFC 7591); without it they need a client document or the operator.
    registration: bool = "true", Serving, flag;
    /// Apps that describe themselves in a document at a URL: fetch takes any, known only those that come with the program or lie in client_documents_dir, off none.
    client_documents: ClientDocuments = "fetch", Serving, ClientDocuments::parse;
    /// A folder of client documents (*.json) that the server knows without fetching them.
    client_documents_dir: Option<PathBuf> = "", Serving, |t| optional(t, path);
    /// A PEM file of one more certificate authority that the servers of client documents may have.
    client_documents_ca_file: Option<PathBuf> = "", Serving, |t| optional(t, path);
    /// For development: fetch client documents from this machine too. Needs a server that only this machine reaches.
    client_documents_loopback: bool = "false", Serving, flag;
    /// Connections open at a time.
    max_connections: u32 = "10000", Serving, |t| number(t, 1, 1_000_000);
    /// Connections open at a time from one address.
    max_connections_per_ip: u32 = "64", Serving, |t| number(t, 1, 1_000_000);
    /// Bytes of a request's body.
    max_body_bytes: u32 = "1048576", Serving, |t| number(t, 1_024, 1 << 20);
    /// Seconds within which a request's headers must have come.
    header_timeout_seconds: u32 = "10", Serving, |t| number(t, 1, 600);
    /// Seconds within which a request's body must have come.
    body_timeout_seconds: u32 = "30", Serving, |t| number(t, 1, 600);
    /// Seconds after which a connection without a request is closed.
    idle_timeout_seconds: u32 = "60", Serving, |t| number(t, 1, 3_600);
    /// Seconds a call waits for its turn when many come at once; clients give up at 60.
    call_wait_seconds: u32 = "30", Serving, |t| number(t, 1, 55);
    /// Seconds that calls under way are given when the server is told to stop.
    shutdown_seconds: u32 = "25", Serving, |t| number(t, 0, 600);
    /// Models that chatbots may use, beside the built-in catalogue.
    models: Vec<String> = "", Serving, |t| list(t, values::model);
    /// The API key that `chaterimo stdio` presents.
    api_key: Option<Secret> = "", Secret, |t| optional(t, Secret::parse);
}

impl Config {
    /// Reads every setting.
    ///
    /// # Errors
    /// `Kind::Config`: a value that does not parse, a key that is no setting, a file that cannot be read. The text
    /// names the setting, where it was set, what came and what is wanted.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Config> {
        parse(sources::find(flags, environment)?)
    }

    /// Where the value of setting `name` comes from, as one would tell an operator.
    pub fn origin_of(&self, name: &str) -> String {
        self.rows
            .iter()
            .find(|row| row.setting.name == name)
            .map_or_else(String::new, |row| row.origin.to_string())
    }

    /// Whether setting `name` was given to this process alone, by a flag or a variable, so that others do not know it.
    pub fn is_given(&self, name: &str) -> bool {
        let given = |origin: &Origin| matches!(origin, Origin::Flag(_) | Origin::Variable(_));
        self.rows.iter().any(|row| row.setting.name == name && given(&row.origin))
    }

    /// Whether the listener can be reached from this machine only.
    pub fn is_loopback(&self) -> bool {
        self.listen.ip().is_loopback()
    }

    /// Whether the listener speaks TLS itself.
    pub fn tls(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// The origin clients are told to use, without a slash at its end: `public_url`, or the address listened on.
    pub fn public_origin(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls() { "https" } else { "http" };
        self.public_url.as_ref().map_or_else(|| format!("{scheme}://{bound}"), |url| url.as_str().to_owned())
    }

    /// Refuses settings that would expose credentials or answer nobody.
    ///
    /// # Errors
    /// `Kind::Config`, with the settings to change.
    pub fn check_serving(&self, demo: bool) -> Result<()> {
        self.check_tls()?;
        self.check_client_documents()?;
        if self.is_loopback() {
            return self.check_public_scheme();
        }
        let listen = format!("listen is {} (from {})", self.listen, self.origin_of("listen"));
        if demo {
            return Err(Error::config(format!(
                "{listen}, but a demo answers on this machine only: leave --listen out, or use 127.0.0.1."
            )));
        }
        if self.public_url.is_none() {
            return Err(Error::config(format!(
                "{listen}, which other machines can reach, but public_url is not set: set it to the URL they will use, \
                 such as https://mcp.example.com, or listen on 127.0.0.1."
            )));
        }
        if !self.tls() && self.trusted_proxies.is_empty() && !self.insecure_http {
            return Err(Error::config(format!(
                "{listen} without TLS, so credentials would travel in the clear: set tls_cert and tls_key, or name the \
                 reverse proxy that does TLS in trusted_proxies, or accept it with insecure_http."
            )));
        }
        self.check_public_scheme()
    }

    fn check_tls(&self) -> Result<()> {
        let (set, missing) = match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => ("tls_cert", "tls_key"),
            (None, Some(_)) => ("tls_key", "tls_cert"),
            _ => return Ok(()),
        };
        let origin = self.origin_of(set);
        Err(Error::config(format!(
            "{set} is set (from {origin}) but {missing} is not: TLS needs both files."
        )))
    }

    fn check_client_documents(&self) -> Result<()> {
        let near = self.is_loopback() && self.public_url.as_ref().is_none_or(PublicUrl::is_loopback);
        if near || !self.client_documents_loopback {
            return Ok(());
        }
        Err(Error::config(format!(
            "client_documents_loopback is set (from {}), but others reach this server: with it they could have requests \
             sent to this machine. Leave it out, or set listen and public_url to 127.0.0.1 or localhost.",
            self.origin_of("client_documents_loopback")
        )))
    }

    fn check_public_scheme(&self) -> Result<()> {
        match &self.public_url {
            Some(url) if !url.is_https() && !url.is_loopback() && !self.insecure_http => {
                Err(Error::config(format!(
                    "public_url is {} (from {}), so credentials would travel in the clear: use https://, or accept it with \
                 insecure_http.",
                    url.as_str(),
                    self.origin_of("public_url"),
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
