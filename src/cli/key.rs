//! `chaterimo key`: API keys. A key is shown when it is made, and never again.

use clap::Subcommand;

use super::org::Whose;
use super::{Context, state};
use crate::access;
use crate::error::Result;
use crate::store::{TenantTx, api_key};

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
        #[command(flatten)]
        org: Whose,
    },
    /// List the keys, revoked ones too
    List {
        #[command(flatten)]
        org: Whose,
    },
    /// Refuse a key from now on
    Revoke {
        /// The key's number, as `chaterimo key list` shows it
        id: i64,
        #[command(flatten)]
        org: Whose,
    },
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Create { label, read_only, org } => create(context, label, read_only, org),
            Action::List { org } => list(context, &org),
            Action::Revoke { id, org } => revoke(context, id, org),
        }
    }
}

fn create(context: &mut Context, label: String, read_only: bool, org: Whose) -> Result<()> {
    let now = context.clock.now();
    let make = move |tx: &TenantTx<'_>| access::api_key::create(tx, &label, read_only, now);
    let (organisation, (id, key)) = org.write(&context.open()?, make)?;
    let reach = if read_only { "read-only" } else { "full" };
    context.out.note(format!("Key {id} of {} ({reach}). It is shown this once:", organisation.slug));
    context.out.line(key)
}

fn list(context: &mut Context, org: &Whose) -> Result<()> {
    let keys = org.read(&context.open()?, api_key::list)?;
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

fn revoke(context: &mut Context, id: i64, org: Whose) -> Result<()> {
    let now = context.clock.now();
    let (organisation, ()) = org.write(&context.open()?, move |tx| api_key::revoke(tx, id, now))?;
    context.out.line(format!("Key {id} of {} is revoked.", organisation.slug))
}
