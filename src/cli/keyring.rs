//! `chaterimo keyring`: the keys that sign sign-ins, tokens, links and cursors. Servers that run take a change up within
//! half a second.

use clap::Subcommand;

use super::Context;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::DATABASE_FILE;

/// `chaterimo keyring …`
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a key that signs from now on and print its name; what the others signed still holds
    Rotate,
    /// List the keys, oldest first
    List,
    /// Take a key out; sign-ins, apps, links, tokenized URLs and MCP sessions that it signed end
    Drop {
        /// The key's name, as `chaterimo keyring list` shows it
        kid: String,
    },
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let folder = &context.config.data_dir;
        match self.action {
            Action::Rotate => {
                if folder.join(DATABASE_FILE).exists() {
                    context.keyring(&context.open()?)?;
                }
                context.out.line(Keyring::rotate(folder, context.clock.now())?)
            }
            Action::List => {
                let rows = Keyring::list(folder)?.into_iter().map(|key| {
                    let use_ = if key.signs { "signs" } else { "verifies" };
                    vec![key.kid, use_.to_owned(), key.created_at.to_string()]
                });
                context.out.table(&["KEY", "USE", "CREATED"], &rows.collect::<Vec<_>>())
            }
            Action::Drop { kid } => {
                Keyring::drop_key(folder, &kid)?;
                context.out.line(format!("Key {kid} is gone; what it signed is refused from now on."))
            }
        }
    }
}
