//! `chaterimo url`: tokenized URLs. A URL is shown when it is made, and never again.

use clap::Subcommand;

use super::org::Whose;
use super::{Context, flags, state};
use crate::access::tokenized_url::{self, Wanted};
use crate::clock::Time;
use crate::config::{Config, Network};
use crate::error::{Error, Kind, Result};
use crate::store::TenantTx;
use crate::store::organisation::Organisation;
use crate::store::tokenized_url::{TokenizedUrl, list, revoke};

/// `chaterimo url …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a URL that needs no key beside it and print it, alone on stdout; it cannot be shown again
    Create {
        /// What the URL is for, such as "Anna's editor"
        #[arg(long, default_value = "made on the command line")]
        label: String,
        /// The URL can change things too, not only read
        #[arg(long)]
        full: bool,
        /// Days after which it stands for nothing, 366 at most
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=366))]
        days: u32,
        /// Addresses or networks it may be used from, separated by commas [default: everywhere]
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
        from: Vec<Network>,
        #[command(flatten)]
        org: Whose,
        #[command(flatten)]
        _settings: flags::TokenizedUrls,
    },
    /// List the URLs, revoked and expired ones too
    List {
        #[command(flatten)]
        org: Whose,
    },
    /// Refuse a URL from now on
    Revoke {
        /// The URL's number, as `chaterimo url list` shows it
        id: i64,
        #[command(flatten)]
        org: Whose,
    },
}

fn network(text: &str) -> Result<Network, String> {
    Network::parse(text).map_err(|wanted| format!("{wanted} is wanted"))
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.action {
            Action::Create { label, full, days, from, org, .. } => {
                create(context, Wanted { label, read_only: !full, networks: from, days }, org)
            }
            Action::List { org } => show(context, &org),
            Action::Revoke { id, org } => end(context, id, org),
        }
    }
}

fn create(context: &mut Context, wanted: Wanted, org: Whose) -> Result<()> {
    let (store, now) = (context.open()?, context.clock.now());
    check_on(&store.read(|tx| org.find(tx))?, &context.config)?;
    let keyring = context.keyring(&store)?;
    let (read_only, days) = (wanted.read_only, wanted.days);
    let make = move |tx: &TenantTx<'_>| tokenized_url::create(tx, &keyring, wanted, now);
    let (organisation, (id, token)) = org.write(&store, make)?;
    let (reach, endpoint) = if read_only { ("read-only", "mcp-readonly") } else { ("full", "mcp") };
    context.out.note(format!(
        "URL {id} of {} ({reach}, {days} days). Whoever has it is let in; it is shown this once:",
        organisation.slug
    ));
    context.out.line(context.public(&format!("/{endpoint}/t/{token}/")))
}

/// Refuses to make a URL that leads nowhere: says what must be turned on before, as far as it can be known here.
fn check_on(organisation: &Organisation, config: &Config) -> Result<()> {
    let own = (!organisation.tokenized_urls)
        .then(|| format!("run `chaterimo org set {} --tokenized-urls on`", organisation.slug));
    let servers = (!config.tokenized_urls).then(|| {
        let file = config.data_dir.join("chaterimo.toml");
        format!(
            "put `tokenized_urls = true` into {} and start the server anew (or give --tokenized-urls here, if it is \
             how the server was started)",
            file.display()
        )
    });
    match own.into_iter().chain(servers).collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        steps => {
            let steps = steps.join(", and ");
            Err(Error::new(
                Kind::Conflict,
                format!("Tokenized URLs are off, and it would lead nowhere: {steps}."),
            ))
        }
    }
}

fn show(context: &mut Context, org: &Whose) -> Result<()> {
    let now = context.clock.now();
    let urls = org.read(&context.open()?, list)?;
    let rows: Vec<Vec<String>> = urls.into_iter().map(|url| row(url, now)).collect();
    context.out.table(&["URL", "REACH", "LABEL", "STATE", "FROM", "LAST USED", "EXPIRES"], &rows)
}

fn row(url: TokenizedUrl, now: Time) -> Vec<String> {
    let reach = if url.read_only { "read-only" } else { "full" };
    let used = url.last_used_at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    let from: Vec<String> = url.networks.iter().map(Network::to_string).collect();
    let from = if from.is_empty() { "everywhere".to_owned() } else { from.join(",") };
    let state = match url.revoked_at {
        None if url.expires_at <= now => "expired".to_owned(),
        revoked_at => state("revoked", revoked_at),
    };
    vec![url.id.to_string(), reach.to_owned(), url.label, state, from, used, url.expires_at.to_string()]
}

fn end(context: &mut Context, id: i64, org: Whose) -> Result<()> {
    let now = context.clock.now();
    let (organisation, ()) = org.write(&context.open()?, move |tx| revoke(tx, id, now))?;
    context.out.line(format!("URL {id} of {} is revoked.", organisation.slug))
}
