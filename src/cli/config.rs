//! `chaterimo config check`: every setting, its value and where it came from.

use clap::Subcommand;

use super::doctor::documents;
use super::{Context, flags};
use crate::config::Reach;
use crate::error::Result;

/// `chaterimo config …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print every setting, its value and where it came from, and say whether `serve` would start with them
    Check {
        /// Say what each setting does as well
        #[arg(long)]
        explain: bool,
        #[command(flatten)]
        _serving: flags::Serving,
    },
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let Action::Check { explain, .. } = self.action;
        let Context { config, out, .. } = context;
        let file = config.file.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        out.line(format!("Settings file: {file}\n"))?;
        let rows = config.rows.iter().map(|row| {
            let about = if explain { row.setting.about.trim() } else { "" };
            vec![row.setting.name.to_owned(), shown(row), row.origin.to_string(), about.to_owned()]
        });
        out.table(
            &["SETTING", "VALUE", "FROM", if explain { "WHAT IT DOES" } else { "" }],
            &rows.collect::<Vec<_>>(),
        )?;
        for variable in &config.unknown_variables {
            out.line(format!("\n{variable} is set, but is no setting."))?;
        }
        config.check_serving(false)?;
        documents(config)?;
        out.line("\nThe settings are in order.")
    }
}

fn shown(row: &crate::config::Row) -> String {
    match (row.text.is_empty(), row.setting.reach) {
        (true, _) => "-".to_owned(),
        (false, Reach::Secret) => "(hidden)".to_owned(),
        (false, _) => row.text.clone(),
    }
}
