//! `chaterimo serve`: the server over HTTP, from an empty folder if need be.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::block_in_place;

use super::greeting::Greeting;
use super::{Context, flags};
use crate::access;
use crate::app::App;
use crate::clock::DAY;
use crate::demo;
use crate::error::{Error, Kind, Result};
use crate::http::{self, Listener, Options, Site};
use crate::oauth;
use crate::store::{Store, call_log, oauth_grant};

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
            let program = std::env::current_exe().unwrap_or_else(|_| "chaterimo".into());
            let data_dir = std::path::absolute(&config.data_dir).map_err(Error::internal)?;
            out.line(greeting.text(&program, &data_dir))?;
        }
        let house = tokio::spawn(keep_house(Arc::clone(&app), config.session_idle_days, config.log_days));
        http::serve(listener, Arc::new(Site::new(app, options)), signals).await;
        house.abort();
        Ok(())
    }
}

/// Now and every hour: sessions that nobody used for `idle_days` end, and calls logged `log_days` ago are forgotten.
async fn keep_house(app: Arc<App>, idle_days: u32, log_days: u32) {
    let mut hour = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        hour.tick().await;
        let now = app.clock.now();
        match block_in_place(|| access::expire(&app.store, now, idle_days)) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "idle sessions were forgotten"),
            Err(error) => tracing::warn!(?error, "idle sessions could not be forgotten"),
        }
        match block_in_place(|| access::accounts::expire(&app.store, now)) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "ended sign-ins and links were forgotten"),
            Err(error) => tracing::warn!(?error, "ended sign-ins and links could not be forgotten"),
        }
        match block_in_place(|| oauth_grant::expire(&app.store, now)) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "codes, tokens and grants that ended were deleted"),
            Err(error) => tracing::warn!(?error, "codes and tokens that ended could not be deleted"),
        }
        match block_in_place(|| oauth::client::expire(&app.store, now)) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "apps that nobody allows anything were forgotten"),
            Err(error) => tracing::warn!(?error, "apps that nobody allows anything could not be forgotten"),
        }
        let oldest = now.plus(-i64::from(log_days) * DAY);
        match block_in_place(|| call_log::expire(&app.store, oldest)) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old rows of the log of calls were deleted"),
            Err(error) => tracing::warn!(?error, "old rows of the log of calls could not be deleted"),
        }
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
