//! `chaterimo key`: API keys. A key is shown when it is made, and never again.

use clap::Subcommand;

use super::{Context, org, state};
use crate::access;
use crate::error::Result;
use crate::store::{Durability, api_key};

/// `chaterimo key …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a key and print it, alone on stdout; it cannot be shown again
    Create {
        /// What the key is for, such as "Anna's laptop"
        #[arg(long, default_value = "made on the command line")]
        label: String,
        /// The key can read but change nothing
        #[arg(long)]
        read_only: bool,
        /// The organisation [default: the only one]
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// List the keys, revoked ones too
    List {
        /// The organisation [default: the only one]
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// Refuse a key from now on
    Revoke {
        /// The key's number, as `chaterimo key list` shows it
        id: i64,
        /// The organisation [default: the only one]
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Create { label, read_only, org } => create(context, label, read_only, org),
            Action::List { org } => list(context, org.as_deref()),
            Action::Revoke { id, org } => revoke(context, id, org),
        }
    }
}

fn create(context: &mut Context, label: String, read_only: bool, org: Option<String>) -> Result<()> {
    let now = context.clock.now();
    let (organisation, (id, key)) = context.open()?.write(Durability::Disk, move |tx| {
        let organisation = org::chosen(tx, org.as_deref())?;
        let made = access::api_key::create(&tx.tenant(organisation.tenant), &label, read_only, now)?;
        Ok((organisation, made))
    })?;
    let reach = if read_only { "read-only" } else { "full" };
    context.out.note(format!("Key {id} of {} ({reach}). It is shown this once:", organisation.slug));
    context.out.line(key)
}

fn list(context: &mut Context, org: Option<&str>) -> Result<()> {
    let keys = context.open()?.read(|tx| api_key::list(&tx.tenant(org::chosen(tx, org)?.tenant)))?;
    let rows = keys.into_iter().map(|key| {
        let reach = if key.read_only { "read-only" } else { "full" };
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let begins = format!("{}…", key.prefix);
        let state = state("revoked", key.revoked_at);
        vec![key.id.to_string(), begins, reach.to_owned(), key.label, state, used, key.created_at.to_string()]
    });
    let head = ["KEY", "BEGINS", "REACH", "LABEL", "STATE", "LAST USED", "CREATED"];
    context.out.table(&head, &rows.collect::<Vec<_>>())
}

fn revoke(context: &mut Context, id: i64, org: Option<String>) -> Result<()> {
    let now = context.clock.now();
    let organisation = context.open()?.write(Durability::Disk, move |tx| {
        let organisation = org::chosen(tx, org.as_deref())?;
        api_key::revoke(&tx.tenant(organisation.tenant), id, now)?;
        Ok(organisation)
    })?;
    context.out.line(format!("Key {id} of {} is revoked.", organisation.slug))
}
