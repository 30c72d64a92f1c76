//! `chaterimo user`: who is a member of an organisation, and as what. People come in by links that are printed here: no
//! mail server is needed.

use clap::Subcommand;

use super::org::Whose;
use super::{Context, flags};
use crate::access::accounts::{invitation_link, reset_link};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::keyring::Keyring;
use crate::store::user::{self, Member, Role};
use crate::store::{Durability, TenantTx};

/// `chaterimo user …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Invite a person and print the link by which they come in, or give a member another role
    Add {
        /// The person's e-mail address
        email: String,
        /// The person's name [default: the address up to the @]
        #[arg(long)]
        name: Option<String>,
        /// owner, admin or analyst (who can only read)
        #[arg(long, default_value = "analyst", value_parser = parse)]
        role: Role,
        #[command(flatten)]
        org: Whose,
        #[command(flatten)]
        _links: flags::Links,
    },
    /// Print a new link for a person who is invited; earlier links no longer work
    Invite {
        /// The person's e-mail address
        email: String,
        #[command(flatten)]
        org: Whose,
        #[command(flatten)]
        _links: flags::Links,
    },
    /// Print a link by which a person chooses a new password; it signs their browsers out and cuts their apps off
    ResetPassword {
        /// The person's e-mail address
        email: String,
        #[command(flatten)]
        _links: flags::Links,
    },
    /// List the members
    List {
        #[command(flatten)]
        org: Whose,
    },
    /// End a membership
    Remove {
        /// The person's e-mail address
        email: String,
        #[command(flatten)]
        org: Whose,
    },
}

fn parse(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| "the roles are owner, admin and analyst".to_owned())
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Add { email, name, role, org, .. } => add(context, email, name, role, org),
            Action::Invite { email, org, .. } => invite(context, email, org),
            Action::ResetPassword { email, .. } => reset_password(context, email),
            Action::List { org } => list(context, &org),
            Action::Remove { email, org } => remove(context, email, org),
        }
    }
}

fn add(context: &mut Context, email: String, name: Option<String>, role: Role, org: Whose) -> Result<()> {
    let (store, now) = (context.open()?, context.clock.now());
    let keyring = context.keyring(&store)?;
    let invite = move |tx: &TenantTx<'_>| add_to(tx, &keyring, &email, name.as_deref(), role, now);
    let (organisation, (member, link)) = org.write(&store, invite)?;
    let (email, role, slug) = (member.email, member.role.as_str(), organisation.slug);
    match link {
        None => context.out.line(format!("{email} is {role} of {slug}.")),
        Some(link) => {
            context
                .out
                .note(format!("{email} is invited to {slug} as {role}. The link works once, for 7 days:"));
            context.out.line(context.public(&link))
        }
    }
}

/// Adds a person with their link, or gives a member who has come in the role.
pub(super) fn add_to(
    tx: &TenantTx<'_>,
    keyring: &Keyring,
    email: &str,
    name: Option<&str>,
    role: Role,
    now: Time,
) -> Result<(Member, Option<String>)> {
    let name = name.unwrap_or_else(|| email.split('@').next().unwrap_or_default());
    let member = user::add(tx, email, name, role, now)?;
    let open = member.accepted_at.is_none();
    let link = open.then(|| invitation_link(tx, keyring, member.user, now)).transpose()?;
    Ok((member, link))
}

fn invite(context: &mut Context, email: String, org: Whose) -> Result<()> {
    let (store, now) = (context.open()?, context.clock.now());
    let keyring = context.keyring(&store)?;
    let (_, link) = org.write(&store, move |tx| {
        let member = user::named(tx, &email)?;
        if member.accepted_at.is_some() {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "{} has come in already: who forgot the password needs `chaterimo user reset-password`.",
                    member.email
                ),
            ));
        }
        invitation_link(tx, &keyring, member.user, now)
    })?;
    context.out.note("The link works once, for 7 days:");
    context.out.line(context.public(&link))
}

fn reset_password(context: &mut Context, email: String) -> Result<()> {
    let (store, now) = (context.open()?, context.clock.now());
    let keyring = context.keyring(&store)?;
    let link = store.write(Durability::Disk, move |tx| {
        let person = user::find(tx, &email)?.ok_or_else(|| {
            Error::not_found(format!("There is nobody {email:?}; `chaterimo user list` shows who is."))
        })?;
        match user::memberships(tx, person.id)?.first() {
            Some(member) => reset_link(&tx.tenant(member.tenant), &keyring, person.id, now),
            None => Err(Error::new(
                Kind::Conflict,
                format!(
                    "{} is a member of no organisation that is active: use `chaterimo user invite` or \
                     `chaterimo org resume`.",
                    person.email
                ),
            )),
        }
    })?;
    context.out.note("The link works once, for a day:");
    context.out.line(context.public(&link))
}

fn list(context: &mut Context, org: &Whose) -> Result<()> {
    let members = org.read(&context.open()?, user::list)?;
    let rows = members.into_iter().map(|m| {
        let state = m.accepted_at.map_or_else(|| "invited".to_owned(), |at| format!("since {at}"));
        vec![m.email, m.name, m.role.as_str().to_owned(), state, m.created_at.to_string()]
    });
    context.out.table(&["EMAIL", "NAME", "ROLE", "STATE", "INVITED"], &rows.collect::<Vec<_>>())
}

fn remove(context: &mut Context, email: String, org: Whose) -> Result<()> {
    let (now, done) = (context.clock.now(), format!("{email} is no member any more of"));
    let end = move |tx: &TenantTx<'_>| user::remove(tx, user::named(tx, &email)?.user, now);
    let (organisation, ()) = org.write(&context.open()?, end)?;
    context.out.line(format!("{done} {}.", organisation.slug))
}
