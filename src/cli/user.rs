//! `chaterimo user`: who is a member of an organisation, and as what.

use clap::Subcommand;

use super::{Context, org};
use crate::error::Result;
use crate::store::Durability;
use crate::store::user::{self, Role};

/// `chaterimo user …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a person a member, or give a member another role
    Add {
        /// The person's e-mail address
        email: String,
        /// The person's name [default: the address up to the @]
        #[arg(long)]
        name: Option<String>,
        /// owner, admin or analyst (who can only read)
        #[arg(long, default_value = "analyst", value_parser = parse)]
        role: Role,
        /// The organisation [default: the only one]
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// List the members
    List {
        /// The organisation [default: the only one]
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// End a membership
    Remove {
        /// The person's e-mail address
        email: String,
        /// The organisation [default: the only one]
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
}

fn parse(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| "the roles are owner, admin and analyst".to_owned())
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Add { email, name, role, org } => add(context, email, name, role, org),
            Action::List { org } => list(context, org.as_deref()),
            Action::Remove { email, org } => remove(context, email, org),
        }
    }
}

fn add(
    context: &mut Context,
    email: String,
    name: Option<String>,
    role: Role,
    org: Option<String>,
) -> Result<()> {
    let now = context.clock.now();
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let done = format!("{email} is {} of", role.as_str());
    let organisation = context.open()?.write(Durability::Disk, move |tx| {
        let organisation = org::chosen(tx, org.as_deref())?;
        user::add(&tx.tenant(organisation.tenant), &email, &name, role, now)?;
        Ok(organisation)
    })?;
    context.out.line(format!("{done} {}.", organisation.slug))
}

fn list(context: &mut Context, org: Option<&str>) -> Result<()> {
    let members = context.open()?.read(|tx| user::list(&tx.tenant(org::chosen(tx, org)?.tenant)))?;
    let rows = members
        .into_iter()
        .map(|m| vec![m.email, m.name, m.role.as_str().to_owned(), m.created_at.to_string()]);
    context.out.table(&["EMAIL", "NAME", "ROLE", "SINCE"], &rows.collect::<Vec<_>>())
}

fn remove(context: &mut Context, email: String, org: Option<String>) -> Result<()> {
    let done = format!("{email} is no member any more of");
    let organisation = context.open()?.write(Durability::Disk, move |tx| {
        let organisation = org::chosen(tx, org.as_deref())?;
        user::remove(&tx.tenant(organisation.tenant), &email)?;
        Ok(organisation)
    })?;
    context.out.line(format!("{done} {}.", organisation.slug))
}
