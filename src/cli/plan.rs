//! `chaterimo plan`: how much an organisation may call.

use clap::Subcommand;

use super::Context;
use crate::error::Result;
use crate::store::Durability;
use crate::store::organisation::{self, Plan};

/// `chaterimo plan …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Set the plan; numbers given here take the place of the plan's own, and those not given are the plan's again
    Set {
        /// The organisation
        org: String,
        /// free (5 calls a minute, 5 a day), trial (10, 100) or paid (30, 1,000)
        #[arg(value_parser = parse)]
        plan: Plan,
        /// Calls in any 60 seconds
        #[arg(long, value_name = "N")]
        per_minute: Option<u32>,
        /// Calls in a UTC day
        #[arg(long, value_name = "N")]
        per_day: Option<u32>,
        /// No limit where no number is given
        #[arg(long)]
        unlimited: bool,
    },
}

pub(super) fn parse(name: &str) -> Result<Plan, String> {
    Plan::parse(name).ok_or_else(|| "the plans are free, trial and paid".to_owned())
}

/// A limit as people read it.
pub(super) fn number(limit: Option<u32>) -> String {
    limit.map_or_else(|| "no limit".to_owned(), |number| number.to_string())
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let Action::Set { org, plan, per_minute, per_day, unlimited } = self.action;
        let own = move |number: Option<u32>| number.map(Some).or(unlimited.then_some(None));
        let done = context.open()?.write(Durability::Disk, move |tx| {
            let tenant = organisation::named(tx, &org)?.tenant;
            organisation::set_plan(tx, tenant, plan, own(per_minute), own(per_day))?;
            organisation::named(tx, &org)
        })?;
        context.out.line(format!(
            "Organisation {} is on plan {}: calls a minute: {}, calls a day: {}.",
            done.slug,
            done.plan.as_str(),
            number(done.limits.per_minute),
            number(done.limits.per_day)
        ))
    }
}
