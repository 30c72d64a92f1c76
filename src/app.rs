//! Runs one call: access → arguments → quota → tool → log → answer. The same for HTTP, stdio and the tests.
//! What is no tool goes through `content`; what open streams are told comes from `feed`.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::watch;

use crate::access::{self, Endpoint, Grant, Grants, Reach, Signals, Stale};
use crate::clock::{self, Clock, Time};
use crate::error::{Error, Result};
use crate::keyring::{ENDS, KEYRING_FILE, Keyring};
use crate::protocol::{Call, Engine, Outcome, Target, View};
use crate::resources;
use crate::store::quota::{self, Balance, Exhausted};
use crate::store::{Durability, Store, SystemTx, call_log, organisation};
use crate::tools::{self, Cx, Effect, Entry, Refusal, Spec};
use crate::training::Worker;

mod answer;
mod catalog;
mod changes;
mod confirm;
mod content;
mod feed;
mod floods;
pub mod follow;
pub mod request_state;
mod tasks;
mod words;

use answer::{Ended, refused};
use confirm::Held;

pub use answer::{Answer, Barred, Reply};
pub use catalog::definition_problems;
pub use feed::Feed;
pub use follow::converses;

/// What every request shares.
pub struct App {
    /// The database.
    pub store: Arc<Store>,
    /// What signs session ids and cursors.
    pub keyring: Arc<Keyring>,
    /// The time.
    pub clock: Clock,
    /// The protocol, with this server's tools.
    pub engine: Engine,
    /// Whether the operator allows reading alone.
    pub read_only: bool,
    extra_models: Arc<[String]>,
    training: OnceLock<Worker>,
    grants: Grants,
    floods: floods::Floods,
    changes: changes::Changes,
}

/// Who calls, and how.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// In whose name.
    pub grant: &'a Grant,
    /// What the request reaches, by every sign of read-only.
    pub signals: Signals,
    /// `http` or `stdio`.
    pub transport: &'static str,
    /// When the request came.
    pub arrived: Instant,
}

impl App {
    /// The app on the data in `folder`, which is made when it is not there.
    ///
    /// # Errors
    /// `Config` when the folder, the database or the keyring cannot be used.
    pub fn open(folder: &Path, clock: Clock, read_only: bool, extra_models: Vec<String>) -> Result<App> {
        let store = Arc::new(Store::open(folder)?);
        let keyring = Arc::new(open_keyring(&store, folder, clock.now())?);
        let engine = Engine::new(words::SERVER, catalog::catalog());
        let changes = changes::Changes::of(&store);
        Ok(App {
            store,
            keyring,
            clock,
            engine,
            read_only,
            extra_models: extra_models.into(),
            training: OnceLock::new(),
            grants: Grants::default(),
            floods: floods::Floods::default(),
            changes,
        })
    }

    /// Compiles every tool's schema now, so that no request waits for it.
    pub fn prepare(&self) {
        tools::TOOLS.iter().for_each(Entry::prepare);
    }

    /// Starts the thread that works through the queue of training jobs. Without it they wait for another process.
    pub fn start_training(&self) {
        let moved = || Box::new(self.changes.noter());
        self.training.get_or_init(|| Worker::start(Arc::clone(&self.store), self.clock.clone(), moved()));
    }

    /// A number that moves when anything changed in the database, by this process or another, the log of calls aside;
    /// within a quarter of a second, and for whoever holds it. A stream asks its [`Feed`] then.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.receiver()
    }

    /// Says that a job was queued.
    pub fn wake_training(&self) {
        if let Some(worker) = self.training.get() {
            worker.wake();
        }
    }

    /// Stops that thread, for good; a job that it is at goes back into the queue.
    pub fn stop_training(&self) {
        if let Some(worker) = self.training.get() {
            worker.stop();
        }
    }

    /// Notes that an access token which was never used before is used now. That it cannot be noted is no reason to turn
    /// its request away: reading goes on while the disk is full.
    pub fn note_first_use(&self, grant: &Grant) {
        let Some(token) = grant.unused else { return };
        if let Err(error) = access::note_first_use(&self.store, token, self.clock.now()) {
            tracing::warn!(?error, "the first use of an access token could not be noted");
        }
    }

    /// Who the bearer credential is; `None` when it stands for nothing (any more).
    ///
    /// # Errors
    /// Those of the store.
    pub fn authenticate(&self, bearer: &str) -> Result<Option<Arc<Grant>>> {
        self.grants.authenticate(&self.store, &self.keyring, bearer, self.clock.now())
    }

    /// Who the token of a tokenized URL is, when it comes from `client`; `None` when it stands for nothing (there).
    ///
    /// # Errors
    /// Those of the store.
    pub fn authenticate_url(&self, token: &str, client: IpAddr) -> Result<Option<Arc<Grant>>> {
        let now = self.clock.now();
        let found = access::tokenized_url::authenticate(&self.store, &self.keyring, token, client, now)?;
        Ok(found.map(Arc::new))
    }

    /// The signs of read-only of a request with this grant.
    pub fn signals(&self, grant: &Grant, endpoint: Endpoint, header_read_only: bool) -> Signals {
        Signals {
            endpoint,
            credential_read_only: grant.read_only,
            header_read_only,
            server_read_only: self.read_only,
        }
    }

    /// Runs a call and writes its row of the log. It blocks: on the database, for as long as the tool runs.
    pub fn call(&self, caller: &Caller<'_>, mut call: Call) -> Answer {
        let Target::Tool { index, ref mut arguments, .. } = call.target else {
            return self.content(caller, call);
        };
        let arguments = Value::Object(std::mem::take(arguments));
        let row = self.log_row(caller, &call, &arguments);
        let admitted = self.admit(caller, &call, index, arguments);
        if let Some(seconds) = self.is_flood(caller.grant, row.at, admitted.is_err()) {
            return floods::answer(caller, call, seconds);
        }
        let ended = match admitted {
            Ok((entry, arguments)) if entry.spec.effect == Effect::Read && !entry.is_brief => {
                self.read(caller, entry.spec, &arguments, row, |cx| Ok(entry.run(cx)?.into_text()))
            }
            Ok((entry, arguments)) => {
                let ended = self.commit(caller, entry, arguments, row);
                if entry.spec.effect == Effect::Start && ended.flood.is_none() {
                    return self.started(caller, call, ended);
                }
                ended
            }
            Err(Held::Refused(refusal)) => self.refuse(caller, refusal, row),
            Err(Held::Fault(fault)) => return self.hold(caller, call, Outcome::Fault(fault), row),
            Err(Held::Asked(held)) => {
                let (ask, arguments) = *held;
                if let Target::Tool { arguments: room, .. } = &mut call.target {
                    *room = arguments;
                }
                return self.hold(caller, call, Outcome::Ask(ask), row);
            }
        };
        match ended.flood {
            Some(seconds) => floods::answer(caller, call, seconds),
            None => self.answer(call, ended),
        }
    }

    /// The tool and its arguments, if this caller may call it with these, and nobody is to be asked first.
    fn admit(
        &self,
        caller: &Caller<'_>,
        call: &Call,
        tool: usize,
        arguments: Value,
    ) -> Result<(&'static Entry, Value), Held> {
        let entry = tools::TOOLS.get(tool).ok_or_else(|| {
            Refusal::from(Error::internal("the engine knows a tool that the table has not"))
        })?;
        if entry.spec.effect != Effect::Read && access::reach(caller.signals) != Reach::Full {
            return Err(words::read_only(entry.spec.name, caller).into());
        }
        let arguments = entry.check(arguments)?;
        Ok((entry, self.ask_first(caller, call, entry, arguments)?))
    }

    /// A refusal that costs nothing: it is logged, and counted against floods.
    fn refuse(&self, caller: &Caller<'_>, refusal: Refusal, row: call_log::Call) -> Ended {
        let flood = self.floods.wait(caller.grant, row.at);
        if flood.is_some() {
            return Ended { flood, ..Ended::of(Err(refusal), None) };
        }
        self.floods.count(caller.grant, row.at);
        match self.log_free(caller, refusal.code, row) {
            Ok(balance) => Ended::of(Err(refusal), Some(balance)),
            Err(error) => Ended::failed(error),
        }
    }

    /// Logs a call that costs nothing; what is left of the quota.
    fn log_free(
        &self,
        caller: &Caller<'_>,
        outcome: &'static str,
        mut row: call_log::Call,
    ) -> Result<Balance> {
        row.outcome = outcome;
        row.duration_us = micros(caller.arrived);
        let tenant = caller.grant.tenant;
        self.store.write(Durability::Process, move |tx| {
            let tx = tx.tenant(tenant);
            let balance = quota::balance(&tx, row.at)?;
            row.day_remaining = balance.day.remaining;
            call_log::append(&tx, &row)?;
            Ok(balance)
        })
    }

    /// Runs what reads on a snapshot; then its call is counted and logged in one commit. A quota that is used up stops it
    /// before; one that others use up meanwhile discards the result.
    fn read(
        &self,
        caller: &Caller<'_>,
        spec: &'static Spec,
        arguments: &Value,
        row: call_log::Call,
        run: impl FnOnce(&Cx<'_>) -> Result<String, Refusal>,
    ) -> Ended {
        let looked = self.look(caller, spec, arguments, row.at, |mut cx| {
            if cx.balance.exhausted().is_some() {
                return None;
            }
            cx.balance = cx.balance.less_one();
            Some(run(&cx))
        });
        match looked.unwrap_or_else(|refusal| Some(Err(refusal))) {
            Some(Err(refusal)) if refusal.is_free() => self.refuse(caller, refusal, row),
            ran => self.settle(caller, ran, row),
        }
    }

    /// Runs `job` on a snapshot of what the caller may see; its balance counts no call.
    fn look<T>(
        &self,
        caller: &Caller<'_>,
        spec: &'static Spec,
        arguments: &Value,
        now: Time,
        job: impl FnOnce(Cx<'_>) -> T,
    ) -> Result<T, Refusal> {
        let tenant = caller.grant.tenant;
        let look = || {
            self.store.read(|tx| {
                let tx = &tx.tenant_within(tenant, caller.grant.chatbots.as_deref());
                let balance = quota::balance(tx, now)?;
                let (actor, redact) = (caller.grant.actor.as_str(), caller.grant.redact);
                let (keyring, extra_models) = (&*self.keyring, &*self.extra_models);
                Ok(job(Cx { tx, now, actor, redact, balance, extra_models, keyring, spec, arguments }))
            })
        };
        match catch_unwind(AssertUnwindSafe(look)) {
            Ok(looked) => Ok(looked?),
            Err(_) => Err(panicked(spec)),
        }
    }

    /// Counts and logs what reading came to; `None` is a quota that was used up before it ran.
    fn settle(
        &self,
        caller: &Caller<'_>,
        ran: Option<Result<String, Refusal>>,
        mut row: call_log::Call,
    ) -> Ended {
        row.outcome = ran.as_ref().map_or(words::QUOTA_EXCEEDED, outcome_code);
        row.duration_us = micros(caller.arrived);
        let (tenant, stale, now) = (caller.grant.tenant, caller.grant.to_note(), row.at);
        let counted = self.store.write(Durability::Process, move |tx| {
            let counted = quota::debit(&tx.tenant(tenant), now)?;
            note(tx, tenant, stale, &counted, row)?;
            Ok(counted)
        });
        match (counted, ran) {
            (Ok(Ok(balance)), Some(ran)) => Ended::of(ran, Some(balance)),
            (Ok(Ok(balance)), None) => Ended::of(Err(words::renewed_meanwhile()), Some(balance)),
            (Ok(Err((balance, exhausted))), _) => self.exhausted(caller, balance, exhausted, now),
            (Err(error), _) => Ended::failed(error),
        }
    }

    /// Runs a tool within the commit that counts and logs its call. What one that changes something does is on the disk
    /// before the answer, and undone when it fails.
    fn commit(
        &self,
        caller: &Caller<'_>,
        entry: &'static Entry,
        arguments: Value,
        mut row: call_log::Call,
    ) -> Ended {
        let (grant, arrived, now) = (caller.grant.clone(), caller.arrived, row.at);
        let (keyring, extra_models) = (Arc::clone(&self.keyring), Arc::clone(&self.extra_models));
        let stale = grant.to_note();
        let reads = entry.spec.effect == Effect::Read;
        let durability = if reads { Durability::Process } else { Durability::Disk };
        let flood = self.floods.wait(caller.grant, now);
        let done = self.store.write(durability, move |tx| {
            let tenant_tx = tx.tenant_within(grant.tenant, grant.chatbots.as_deref());
            let count = quota::Count::load(&tenant_tx, now)?;
            let before = count.balance();
            if let Some(exhausted) = before.exhausted() {
                note(tx, grant.tenant, stale, &Err((before, exhausted)), row)?;
                return Ok(Err((before, exhausted)));
            }
            let run = || {
                let (actor, redact, spec) = (grant.actor.as_str(), grant.redact, entry.spec);
                let (keyring, extra_models, balance) = (&*keyring, &*extra_models, before.less_one());
                let (tx, arguments) = (&tenant_tx, &arguments);
                let cx = Cx { tx, now, actor, redact, balance, extra_models, keyring, spec, arguments };
                catch_unwind(AssertUnwindSafe(|| entry.run(&cx))).unwrap_or_else(|_| Err(panicked(spec)))
            };
            let ran = if reads { tx.unchanged(run)? } else { tx.savepoint(run)? };
            let balance = match &ran {
                Err(refusal) if refusal.is_free() && flood.is_some() => return Ok(Ok((before, ran))),
                Err(refusal) if refusal.is_free() => before,
                _ => count.debit(&tenant_tx)?,
            };
            row.outcome = outcome_code(&ran);
            row.duration_us = micros(arrived);
            note(tx, grant.tenant, stale, &Ok(balance), row)?;
            Ok(Ok((balance, ran)))
        });
        match done {
            Ok(Ok((balance, ran))) => {
                let is_free = ran.as_ref().is_err_and(Refusal::is_free);
                match is_free {
                    true => self.floods.count(caller.grant, now),
                    // Also one that failed: it cost a call, which is a change of what is left.
                    false if !reads => self.changed(entry.spec.effect),
                    false => {}
                }
                let flood = flood.filter(|_| is_free);
                Ended { flood, ..Ended::of(ran.map(tools::Json::into_text), Some(balance)) }
            }
            Ok(Err((balance, exhausted))) => self.exhausted(caller, balance, exhausted, now),
            Err(error) => Ended::failed(error),
        }
    }

    /// Says that a tool changed something.
    fn changed(&self, effect: Effect) {
        if effect == Effect::Start {
            self.wake_training();
        }
        self.changes.tell();
    }

    /// A call that the quota refuses; it counts against floods.
    fn exhausted(&self, caller: &Caller<'_>, balance: Balance, exhausted: Exhausted, now: Time) -> Ended {
        self.floods.count(caller.grant, now);
        let refusal = words::quota_exceeded(&balance, exhausted, now);
        Ended { exhausted: Some(exhausted), ..Ended::of(Err(refusal), Some(balance)) }
    }

    fn log_row(&self, caller: &Caller<'_>, call: &Call, arguments: &Value) -> call_log::Call {
        call_log::Call {
            at: self.clock.now(),
            credential: caller.grant.credential.clone(),
            client: call.peer.client.name.clone(),
            client_version: call.peer.client.version.clone(),
            transport: caller.transport,
            endpoint: caller.signals.endpoint.as_str(),
            tool: call.name(),
            arguments: tools::text::masked_arguments(arguments),
            outcome: "ok",
            duration_us: 0,
            day_remaining: None,
        }
    }
}

/// The keyring of `folder`, made when there is none. That one was there before is clear where `store` holds
/// organisations, for it is made before the first of them: then the log says what has ended, and how to have it again.
///
/// # Errors
/// Those of [`Keyring::open`] and of the store.
pub fn open_keyring(store: &Store, folder: &Path, now: Time) -> Result<Keyring> {
    let lost = Keyring::is_missing(folder) && !store.read(organisation::list)?.is_empty();
    let keyring = Keyring::open(folder, now)?;
    if lost {
        let file = folder.join(KEYRING_FILE);
        tracing::error!(
            "the keyring {} was lost and a new one is made: {ENDS} have ended (API keys hold). Put its copy back into its \
             place to have them again",
            file.display()
        );
    }
    Ok(keyring)
}

/// Writes the call's row, with what the quota came to, and the last use of the key when that is due.
fn note(
    tx: &SystemTx<'_>,
    tenant: crate::store::Tenant,
    stale: Option<Stale>,
    counted: &Result<Balance, (Balance, Exhausted)>,
    mut row: call_log::Call,
) -> Result<()> {
    if let Some(stale) = stale {
        stale.note(tx, tenant, row.at)?;
    }
    row.day_remaining = match counted {
        Ok(balance) => balance.day.remaining,
        Err((balance, _)) => {
            row.outcome = words::QUOTA_EXCEEDED;
            balance.day.remaining
        }
    };
    call_log::append(&tx.tenant(tenant), &row)
}

fn outcome_code<T>(ran: &Result<T, Refusal>) -> &'static str {
    ran.as_ref().map_or_else(|refusal| refusal.code, |_| "ok")
}

/// A tool that panicked: a fault of ours, and of this call alone.
fn panicked(spec: &Spec) -> Refusal {
    Error::internal(format!("{} panicked", spec.name)).into()
}

/// The tools' names and titles, in the order of the table.
pub fn tool_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    tools::TOOLS.iter().map(|entry| (entry.spec.name, entry.spec.title))
}

/// Names and titles of all that the log of calls holds: the tools, and what costs a call without being one.
pub fn call_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    tool_names().chain([(resources::READ.name, resources::READ.title)])
}

/// Whether the tool of that name changes anything.
pub fn changes_something(tool: &str) -> bool {
    Entry::named(tool).is_some_and(|entry| entry.spec.effect != Effect::Read)
}

/// What a request that reaches so far sees of the tools.
pub fn view(reach: Reach) -> View {
    match reach {
        Reach::Full => View::Full,
        Reach::ReadOnlyGrant => View::ReadOnlyGrant,
        Reach::ReadOnlyEndpoint => View::ReadOnlyEndpoint,
    }
}

fn micros(start: Instant) -> i64 {
    i64::try_from(clock::since(start).as_micros()).unwrap_or(i64::MAX)
}
