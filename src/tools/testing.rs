//! A store of its own for the tests of tools.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::{Cx, Effect, Entry, RESULT_CHARS_MAX, Refusal, Spec};
use crate::clock::Time;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::organisation::{self, Plan};
use crate::store::{Durability, Store, Tenant, TenantTx, quota};

/// 2026-11-22T08:00:00Z, when the tests take place.
pub const NOW: Time = Time(1_795_334_400_000);

/// A database with one organisation, and what a tool needs to run on it.
pub struct Shop {
    pub store: Store,
    pub tenant: Tenant,
    pub redact: bool,
    keyring: Arc<Keyring>,
    _folder: TempDir,
}

impl Shop {
    pub fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let keyring = Arc::new(Keyring::open(folder.path(), NOW).unwrap());
        let made =
            store.write(Durability::Process, |tx| organisation::create(tx, "acme", "Acme", Plan::Paid, NOW));
        Shop { store, tenant: made.unwrap().tenant, redact: true, keyring, _folder: folder }
    }

    /// Another organisation in the same database; `self.tenant` is it from now on.
    pub fn move_in(&mut self, slug: &'static str) {
        let made = self
            .store
            .write(Durability::Process, move |tx| organisation::create(tx, slug, slug, Plan::Paid, NOW));
        self.tenant = made.unwrap().tenant;
    }

    /// Puts things into the organisation.
    pub fn seed<T: Send + 'static>(
        &self,
        job: impl FnOnce(&TenantTx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        let tenant = self.tenant;
        self.store.write(Durability::Process, move |tx| job(&tx.tenant(tenant))).unwrap()
    }

    /// Calls a tool as a client would and checks that the answer is what the tool's output schema says.
    pub fn call(&self, tool: &str, arguments: Value) -> Result<Value, Refusal> {
        let entry = Entry::named(tool).unwrap();
        let arguments = entry.check(arguments)?;
        let text = match entry.spec.effect {
            Effect::Read => self.store.read(|tx| Ok(self.run(entry, &tx.tenant(self.tenant), &arguments)))?,
            _ => self.write(entry, arguments),
        }?;
        assert!(
            text.chars().count() <= RESULT_CHARS_MAX,
            "{tool} answered {} characters",
            text.chars().count()
        );
        let answer: Value = serde_json::from_str(&text).unwrap();
        let schema = jsonschema::draft202012::new(&entry.output_schema()).unwrap();
        let faults: Vec<String> =
            schema.iter_errors(&answer).map(|e| format!("{} {e}", e.instance_path())).collect();
        assert!(faults.is_empty(), "{tool}: {faults:?}");
        Ok(answer)
    }

    /// Runs `job` as what reads without being a tool is run, within a limit to some chatbots if there is one.
    pub fn look<T>(
        &self,
        spec: &'static Spec,
        chatbots: Option<&[i64]>,
        job: impl FnOnce(&Cx<'_>) -> T,
    ) -> T {
        let looked = self.store.read(|tx| {
            let tx = &tx.tenant_within(self.tenant, chatbots);
            let (balance, keyring, arguments) = (quota::balance(tx, NOW)?, &*self.keyring, &Value::Null);
            let (actor, redact) = ("API key 1 (test)", self.redact);
            let extra_models = &[];
            Ok(job(&Cx { tx, now: NOW, actor, redact, balance, extra_models, keyring, spec, arguments }))
        });
        looked.unwrap()
    }

    fn write(&self, entry: &'static Entry, arguments: Value) -> Result<String, Refusal> {
        let tenant = self.tenant;
        let (keyring, redact) = (Arc::clone(&self.keyring), self.redact);
        let ran = self.store.write(Durability::Process, move |tx| {
            tx.savepoint(|| run(entry, &tx.tenant(tenant), &arguments, &keyring, redact))
        });
        ran?
    }

    fn run(&self, entry: &'static Entry, tx: &TenantTx<'_>, arguments: &Value) -> Result<String, Refusal> {
        run(entry, tx, arguments, &self.keyring, self.redact)
    }
}

fn run(
    entry: &'static Entry,
    tx: &TenantTx<'_>,
    arguments: &Value,
    keyring: &Keyring,
    redact: bool,
) -> Result<String, Refusal> {
    let balance = quota::balance(tx, NOW)?;
    let actor = "API key 1 (test)";
    let cx =
        Cx { tx, now: NOW, actor, redact, balance, extra_models: &[], keyring, spec: entry.spec, arguments };
    entry.run(&cx).map(super::Json::into_text)
}
