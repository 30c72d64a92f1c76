//! Who the checks are run as: by a login, and as a second identity.

use std::path::Path;

use hyper::header::{AUTHORIZATION, HeaderName};

use crate::cli::fields::{self, Field};
use crate::client;
use crate::conformance::login::{Browser, Logins, Options};
use crate::error::{Error, Result};
use crate::peer;

/// The flags.
#[derive(clap::Args)]
pub(super) struct Identities {
    /// Sign in through the server's OAuth, run the checks as whoever signs in, then attack what was granted
    #[arg(long, conflicts_with = "command", help_heading = "Identities")]
    login: bool,
    /// Sign in as this client: its id, or the URL of its document; without it, one registers itself
    #[arg(long, value_name = "ID", help_heading = "Identities")]
    client_id: Option<String>,
    /// Open the URL to sign in at by this command, which must end when the page has answered
    #[arg(long, value_name = "COMMAND", help_heading = "Identities")]
    browser: Option<String>,
    /// A field of the requests of a second identity, which must not come by what the first has; give it once for each
    #[arg(long = "other-header", value_name = "'NAME: VALUE'", value_parser = fields::read, conflicts_with = "command",
        help_heading = "Identities")]
    other_headers: Vec<Field>,
    /// Sign in as the second identity as well, in a browser or by a command of its own
    #[arg(long, value_name = "COMMAND", num_args = 0..=1, require_equals = true, default_missing_value = "",
        conflicts_with_all = ["command", "other_headers"], help_heading = "Identities")]
    other_login: Option<String>,
}

impl Identities {
    /// Whether they can be followed beside the fields of the first identity.
    pub(super) fn fit(&self, headers: &[Field]) -> Result<()> {
        let nobody_signs_in = !self.login && self.other_login.is_none();
        let wrong = match () {
            () if nobody_signs_in && self.browser.is_some() => {
                "--browser is for signing in: give --login too."
            }
            () if nobody_signs_in && self.client_id.is_some() => {
                "--client-id is for signing in: give --login too."
            }
            () if self.login && headers.iter().any(|(name, _)| name == AUTHORIZATION) => {
                "--login and --header Authorization are two credentials for one identity: leave out one of the two."
            }
            () => return Ok(()),
        };
        Err(Error::invalid(wrong))
    }

    /// The second identity's options, where it comes by fields.
    pub(super) fn other(&self, options: &peer::Options) -> Option<peer::Options> {
        if self.other_headers.is_empty() {
            return None;
        }
        let is_theirs = |name: &HeaderName| self.other_headers.iter().any(|(theirs, _)| theirs == name);
        let shared = options.headers.iter().filter(|(name, _)| !is_theirs(name));
        let headers = shared.chain(&self.other_headers).cloned().collect();
        Some(peer::Options { headers, ..options.clone() })
    }

    /// Who signs in at `url`.
    pub(super) fn logins(&self, url: &str, ca_file: Option<&Path>) -> Logins {
        let options = |command: Option<&str>| Options {
            url: url.to_owned(),
            client_id: self.client_id.clone(),
            browser: command.map_or(Browser::Person, |command| Browser::Command(command.to_owned())),
            http: client::Options { ca_file: ca_file.map(Path::to_owned), ..client::Options::default() },
        };
        let own = self.browser.as_deref();
        let theirs = |command: &'_ str| {
            if command.is_empty() { own.map(str::to_owned) } else { Some(command.to_owned()) }
        };
        Logins {
            first: self.login.then(|| options(own)),
            second: self.other_login.as_deref().map(|command| options(theirs(command).as_deref())),
        }
    }
}
