//! `chaterimo serve`: the server over HTTP, from an empty folder if need be.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::block_in_place;

use super::greeting::{Greeting, Setup};
use super::{Context, flags};
use crate::access;
use crate::app::App;
use crate::clock::DAY;
use crate::demo;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Listener, Options, Site};
use crate::oauth;
use crate::store::{Store, call_log, oauth_grant, organisation};

/// `chaterimo serve`
#[derive(clap::Args)]
pub struct Args {
    /// Fill an empty data folder with two believable stores and make keys for them; answers on this machine only
    #[arg(long)]
    demo: bool,
    /// Say where the server is in one line of JSON instead of words, once it accepts connections
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    _serving: flags::Serving,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let config = &context.config;
        config.check_serving(self.demo)?;
        let clock = context.clock.clone();
        let app = Arc::new(App::open(&config.data_dir, clock, config.read_only, config.models.clone())?);
        let mark = app.store.mark_running()?;
        if mark.unclean {
            check(&app.store)?;
        }
        app.prepare();
        let keys = self.demo.then(|| demo::prepare(&app.store, app.clock.now())).transpose()?;
        app.start_training();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(Error::internal)?.block_on(self.serve(context, Arc::clone(&app), keys))?;
        app.stop_training();
        app.store.checkpoint()
    }

    /// Serves until a signal stops it.
    async fn serve(self, context: &mut Context, app: Arc<App>, keys: Option<demo::Keys>) -> Result<()> {
        let Context { config, out, .. } = context;
        let signals = http::signals()?;
        let listener = Listener::bind(config.listen).await?;
        let options = Options::new(config, listener.address())?;
        let greeting = Greeting::new(&options.public_origin, keys);
        if self.json {
            out.line(serde_json::to_string(&greeting).map_err(Error::internal)?)?;
        } else {
            out.line(greeting.text(&Setup {
                program: std::env::current_exe().unwrap_or_else(|_| "chaterimo".into()),
                data_dir: std::path::absolute(&config.data_dir).map_err(Error::internal)?,
                chosen: config.is_given("data_dir"),
                moved: config.is_given("listen") || config.is_given("public_url"),
                empty: app.store.read(organisation::list)?.is_empty(),
            }))?;
        }
        let house = tokio::spawn(keep_house(Arc::clone(&app), config.session_idle_days, config.log_days));
        http::serve(listener, Arc::new(Site::new(app, options)), signals).await;
        house.abort();
        Ok(())
    }
}

/// Now and every hour: what has ended is deleted, sessions that nobody used for `idle_days` and calls logged `log_days` ago
/// among it.
async fn keep_house(app: Arc<App>, idle_days: u32, log_days: u32) {
    let mut hour = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        hour.tick().await;
        let (store, now) = (&app.store, app.clock.now());
        let oldest = now.plus(-i64::from(log_days) * DAY);
        delete("idle sessions", || access::expire(store, now, idle_days));
        delete("sign-ins and links that ended", || access::accounts::expire(store, now));
        delete("codes, tokens and grants that ended", || oauth_grant::expire(store, now));
        delete("apps that nobody allows anything", || oauth::client::expire(store, now));
        delete("old rows of the log of calls", || call_log::expire(store, oldest));
    }
}

/// Runs `expire`, which deletes `what`, and says in the log how many there were.
fn delete(what: &str, expire: impl FnOnce() -> Result<usize>) {
    match block_in_place(expire) {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "deleted {what}"),
        Err(error) => tracing::warn!(?error, "could not delete {what}"),
    }
}

/// Reads the whole database after a stop that was none of ours.
fn check(store: &Store) -> Result<()> {
    tracing::warn!("the last server of this folder did not stop cleanly; checking the database");
    match store.quick_check()?.first() {
        None => Ok(()),
        Some(fault) => Err(Error::new(
            Kind::Unavailable,
            format!(
                "The database is damaged ({}): put a backup back with `chaterimo restore --force FILE`.",
                fault.replace('\n', " ")
            ),
        )),
    }
}
