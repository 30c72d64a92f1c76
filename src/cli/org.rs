//! `chaterimo org`: the organisations, which are the tenants.

use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::plan::{self, number};
use super::{Context, flags, state, user};
use crate::demo;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::store::organisation::{self, Organisation, Plan};
use crate::store::user::Role;
use crate::store::{Durability, Store, SystemTx, TenantTx};

/// `chaterimo org …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an organisation
    Create {
        /// Its name in commands: lower-case letters, digits and hyphens, such as acme-shoes
        slug: String,
        /// Its name for people [default: the slug]
        #[arg(long)]
        name: Option<String>,
        /// What it pays for: free, trial or paid
        #[arg(long, default_value = "free", value_parser = plan::parse)]
        plan: Plan,
        /// The e-mail address of its first owner, for whom a link is printed
        #[arg(long, value_name = "EMAIL")]
        owner: Option<String>,
        #[command(flatten)]
        _links: flags::Links,
    },
    /// Change how an organisation's data is shown
    Set {
        /// The organisation
        slug: String,
        /// The IANA time zone its days are counted in, such as Europe/Berlin
        #[arg(long)]
        timezone: Option<String>,
        /// Whether e-mail addresses and phone numbers in visitors' texts are masked
        #[arg(long, value_name = "on|off", value_parser = on_or_off())]
        redact: Option<bool>,
        /// Whether its tokenized URLs are answered (see `chaterimo url`), where the server answers any
        #[arg(long, value_name = "on|off", value_parser = on_or_off())]
        tokenized_urls: Option<bool>,
    },
    /// List the organisations
    List,
    /// Refuse every credential of an organisation from now on; its data stays
    Suspend {
        /// The organisation
        slug: String,
    },
    /// Take the credentials of a suspended organisation again
    Resume {
        /// The organisation
        slug: String,
    },
}

/// A switch in words; `true` and `false` serve as well.
fn on_or_off() -> impl TypedValueParser<Value = bool> {
    let words = [PossibleValue::new("on").alias("true"), PossibleValue::new("off").alias("false")];
    PossibleValuesParser::new(words).map(|word| word == "on" || word == "true")
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Create { slug, name, plan, owner, .. } => create(context, slug, name, plan, owner),
            Action::Set { slug, timezone, redact, tokenized_urls } => {
                set(context, slug, Switches { timezone, redact, tokenized_urls })
            }
            Action::List => list(context),
            Action::Suspend { slug } => set_suspended(context, slug, true),
            Action::Resume { slug } => set_suspended(context, slug, false),
        }
    }
}

/// Which organisation a command is about.
#[derive(clap::Args)]
pub(super) struct Whose {
    /// The organisation [default: the only one]
    #[arg(long, value_name = "SLUG")]
    org: Option<String>,
}

impl Whose {
    /// The organisation: the one that is named, or the only one there is.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid`, with their names, when there are several and none is named.
    pub(super) fn find(&self, tx: &SystemTx<'_>) -> Result<Organisation> {
        if let Some(slug) = &self.org {
            return organisation::named(tx, slug);
        }
        let mut all = organisation::list(tx)?;
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => {
                Err(Error::not_found("There is no organisation yet: make one with `chaterimo org create`."))
            }
            (Some(last), false) => {
                let slugs: Vec<_> = all.into_iter().chain([last]).map(|o| o.slug).collect();
                let text = format!("Say which organisation with --org; there are: {}.", slugs.join(", "));
                Err(Error::invalid(text))
            }
        }
    }

    /// What `job` reads of the organisation.
    pub(super) fn read<T>(&self, store: &Store, job: impl FnOnce(&TenantTx<'_>) -> Result<T>) -> Result<T> {
        store.read(|tx| job(&tx.tenant(self.find(tx)?.tenant)))
    }

    /// The organisation, and what `job` did there; it is on the disk then.
    pub(super) fn write<T: Send + 'static>(
        self,
        store: &Store,
        job: impl FnOnce(&TenantTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<(Organisation, T)> {
        store.write(Durability::Disk, move |tx| {
            let organisation = self.find(tx)?;
            let done = job(&tx.tenant(organisation.tenant))?;
            Ok((organisation, done))
        })
    }
}

fn create(
    context: &mut Context,
    slug: String,
    name: Option<String>,
    plan: Plan,
    owner: Option<String>,
) -> Result<()> {
    if demo::is_demo(&slug) {
        return Err(Error::invalid(format!("{slug:?} is a name that `serve --demo` uses: choose another.")));
    }
    let (store, now) = (context.open_or_make()?, context.clock.now());
    let name = name.unwrap_or_else(|| slug.clone());
    if store.read(organisation::list)?.iter().any(|other| demo::is_demo(&other.slug)) {
        context.out.note(
            "This data folder holds the demo, whose keys stay valid: name another one with --data-dir for a store that \
             others will reach.",
        );
    }
    let owner = owner.map(|email| context.keyring(&store).map(|keyring| (email, keyring))).transpose()?;
    let (made, link) = store.write(Durability::Disk, move |tx| {
        let made = organisation::create(tx, &slug, &name, plan, now)?;
        let here = tx.tenant(made.tenant);
        let invite = |(email, keyring): (String, Keyring)| {
            user::add_to(&here, &keyring, &email, None, Role::Owner, now)
        };
        let invited = owner.map(invite).transpose()?;
        Ok((made, invited.and_then(|(_, link)| link)))
    })?;
    context.out.line(format!(
        "Made organisation {} ({}), plan {}.",
        made.slug,
        made.name,
        made.plan.as_str()
    ))?;
    let Some(link) = link else { return Ok(()) };
    context.out.note("Its owner comes in by this link, which works once, for 7 days:");
    context.out.line(context.public(&link))
}

/// What to change of an organisation.
struct Switches {
    timezone: Option<String>,
    redact: Option<bool>,
    tokenized_urls: Option<bool>,
}

fn set(context: &mut Context, slug: String, switches: Switches) -> Result<()> {
    let Switches { timezone, redact, tokenized_urls } = switches;
    if timezone.is_none() && redact.is_none() && tokenized_urls.is_none() {
        return Err(Error::invalid(
            "Say what to change: --timezone, --redact, --tokenized-urls, or several.",
        ));
    }
    let changed = context.open()?.write(Durability::Disk, move |tx| {
        let tenant = organisation::named(tx, &slug)?.tenant;
        timezone.map_or(Ok(()), |timezone| organisation::set_timezone(tx, tenant, &timezone))?;
        redact.map_or(Ok(()), |redact| organisation::set_redact(tx, tenant, redact))?;
        tokenized_urls.map_or(Ok(()), |on| organisation::set_tokenized_urls(tx, tenant, on))?;
        organisation::named(tx, &slug)
    })?;
    let masked = if changed.redact { "masked" } else { "shown" };
    let urls = if changed.tokenized_urls { "on" } else { "off" };
    context.out.line(format!(
        "Organisation {}: days of {}, visitors' addresses and numbers are {masked}, tokenized URLs are {urls}.",
        changed.slug, changed.timezone
    ))
}

fn list(context: &mut Context) -> Result<()> {
    let all = context.open()?.read(organisation::list)?;
    let rows = all.into_iter().map(|o| {
        vec![
            o.slug,
            o.name,
            o.plan.as_str().to_owned(),
            number(o.limits.per_minute),
            number(o.limits.per_day),
            state("suspended", o.suspended_at),
            o.created_at.to_string(),
        ]
    });
    let head = ["SLUG", "NAME", "PLAN", "A MINUTE", "A DAY", "STATE", "CREATED"];
    context.out.table(&head, &rows.collect::<Vec<_>>())
}

fn set_suspended(context: &mut Context, slug: String, suspended: bool) -> Result<()> {
    let (store, now) = (context.open()?, context.clock.now());
    let done = store.write(Durability::Disk, move |tx| {
        let organisation = organisation::named(tx, &slug)?;
        organisation::set_suspended(tx, organisation.tenant, suspended.then_some(now))?;
        Ok(organisation)
    })?;
    let word = if suspended { "suspended" } else { "active" };
    context.out.line(format!("Organisation {} is {word}.", done.slug))
}
