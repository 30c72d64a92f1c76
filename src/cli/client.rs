//! `chaterimo client`: apps that the operator enters by hand, because they neither register nor publish a document.

use clap::{Subcommand, ValueEnum};
use data_encoding::BASE64URL_NOPAD;

use super::Context;
use crate::access::signed::sha256;
use crate::clock::random;
use crate::error::{Error, Result};
use crate::oauth::{AuthMethod, redirect};
use crate::store::Durability;
use crate::store::oauth_client::{self, Row};

/// `chaterimo client …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Enter an app and print its client_id and, with --secret, below it the client secret, which cannot be shown again
    Add {
        /// The app's name, which people see when it asks them for access
        name: String,
        /// Where the app may send people back to; give it once for each URI. The port of http://localhost is free
        #[arg(long = "redirect", value_name = "URI", required = true)]
        redirects: Vec<String>,
        /// The client_id [default: one that is made up]
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Make a secret, which the app then sends in the form (post) or in the Authorization field (basic)
        #[arg(long, value_name = "HOW")]
        secret: Option<Method>,
    },
    /// List the apps that were entered
    List,
    /// Remove an app, entered or registered, and cut it off
    Remove {
        /// Its client_id
        id: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Method {
    Post,
    Basic,
}

impl Method {
    fn auth(self) -> AuthMethod {
        match self {
            Method::Post => AuthMethod::ClientSecretPost,
            Method::Basic => AuthMethod::ClientSecretBasic,
        }
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Add { name, redirects, id, secret } => add(context, name, redirects, id, secret),
            Action::List => list(context),
            Action::Remove { id } => remove(context, id),
        }
    }
}

fn add(
    context: &mut Context,
    name: String,
    redirect_uris: Vec<String>,
    id: Option<String>,
    method: Option<Method>,
) -> Result<()> {
    check(&name, &redirect_uris, id.as_deref())?;
    let secret = method.map(|_| BASE64URL_NOPAD.encode(&random::<32>()));
    let row = Row {
        id: id.unwrap_or_else(|| format!("app_{}", BASE64URL_NOPAD.encode(&random::<16>()))),
        operator: true,
        name,
        redirect_uris,
        auth_method: method.map_or(AuthMethod::None, Method::auth).as_str().to_owned(),
        secret_hash: secret.as_deref().map(sha256),
        refreshes: true,
        created_at: context.clock.now(),
    };
    let id = row.id.clone();
    context.open()?.write(Durability::Disk, move |tx| oauth_client::create(tx, &row))?;
    let Some(secret) = secret else { return context.out.line(id) };
    context.out.note("The client_id, and below it the client secret, which is shown this once:");
    context.out.line(id)?;
    context.out.line(secret)
}

/// What would stand in the way of the other kinds of clients, or could not be shown or asked for.
fn check(name: &str, redirect_uris: &[String], id: Option<&str>) -> Result<()> {
    if name.trim().is_empty() || name.chars().count() > 128 {
        return Err(Error::invalid("An app's name has 1 to 128 characters."));
    }
    for uri in redirect_uris {
        let wrong =
            |why| Error::invalid(format!("The redirect URI {uri:?} {why}. Wanted is {}.", redirect::WANTED));
        redirect::check(uri).map_err(wrong)?;
    }
    let fits = |id: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with("dcr_")
    };
    match id.is_none_or(fits) {
        true => Ok(()),
        false => Err(Error::invalid(
            "A client_id has 1 to 128 letters, digits, - . _ ~ and does not begin with dcr_, as those of apps that \
             register themselves do. An app whose id is a URL belongs into the folder client_documents_dir.",
        )),
    }
}

fn list(context: &mut Context) -> Result<()> {
    let clients = context.open()?.read(oauth_client::list_operators)?;
    let rows = clients.into_iter().map(|client| {
        let redirects = client.redirect_uris.join(" ");
        vec![client.id, client.name, client.auth_method, client.created_at.to_string(), redirects]
    });
    context.out.table(&["CLIENT", "NAME", "SECRET", "CREATED", "REDIRECTS"], &rows.collect::<Vec<_>>())
}

fn remove(context: &mut Context, id: String) -> Result<()> {
    let (wanted, now) = (id.clone(), context.clock.now());
    let found = context.open()?.write(Durability::Disk, move |tx| oauth_client::delete(tx, &wanted, now))?;
    match found {
        true => context.out.line(format!("The client {id} is removed; what people allowed it has ended.")),
        false => {
            Err(Error::not_found(format!("There is no client {id:?}; `chaterimo client list` shows them.")))
        }
    }
}
