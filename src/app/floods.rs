//! Calls that are refused cost no quota, yet each leaves a row in the log: a credential has 60 of them a minute. What
//! it is refused beyond that is answered in a few words and not logged; its good calls pass all the while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Answer, App, Barred, Caller, Reply};
use crate::access::Grant;
use crate::clock::{MINUTE, SECOND, Time};
use crate::protocol::rpc::INVALID_REQUEST;
use crate::protocol::{Call, Fault, Outcome, Refusal};
use crate::store::{Tenant, quota};

/// Refusals of one credential in a minute that are told and logged one by one.
const REFUSALS_A_MINUTE: u32 = 60;

/// The refusals of each credential, in this process; as many entries at most as there are keys.
#[derive(Default)]
pub(super) struct Floods(Mutex<HashMap<Tenant, HashMap<String, Minute>>>);

/// The minute that began with a refusal.
#[derive(Clone, Copy)]
struct Minute {
    began: Time,
    refusals: u32,
}

impl Floods {
    /// Counts a refusal.
    pub(super) fn count(&self, grant: &Grant, now: Time) {
        let mut tenants = self.lock();
        let minutes = tenants.entry(grant.tenant).or_default();
        match minutes.get_mut(&grant.credential) {
            Some(minute) if minute.left(now).is_some() => minute.refusals = minute.refusals.saturating_add(1),
            Some(minute) => *minute = Minute { began: now, refusals: 1 },
            None => drop(minutes.insert(grant.credential.clone(), Minute { began: now, refusals: 1 })),
        }
    }

    /// Seconds until the credential's refusals are told one by one again; `None` while they are.
    pub(super) fn wait(&self, grant: &Grant, now: Time) -> Option<i64> {
        let minute = *self.lock().get(&grant.tenant)?.get(&grant.credential)?;
        let left = minute.left(now).filter(|_| minute.refusals >= REFUSALS_A_MINUTE)?;
        Some((left + SECOND - 1) / SECOND)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tenant, HashMap<String, Minute>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Minute {
    /// Milliseconds of it that are left; none as well when the clock was set back.
    fn left(self, now: Time) -> Option<i64> {
        (self.began..self.began.plus(MINUTE)).contains(&now).then(|| self.began.0 + MINUTE - now.0)
    }
}

impl App {
    /// Seconds to wait, when this call is one refusal too many: it is `refused` before the quota, or will be by it.
    pub(super) fn is_flood(&self, grant: &Grant, now: Time, refused: bool) -> Option<i64> {
        let seconds = self.floods.wait(grant, now)?;
        let exhausted = || self.store.read(|tx| quota::balance(&tx.tenant(grant.tenant), now));
        let fails = refused || exhausted().is_ok_and(|balance| balance.exhausted().is_some());
        fails.then_some(seconds)
    }
}

/// The answer to one refusal too many: over HTTP the status that clients and proxies know, else words for the model.
pub(super) fn answer(caller: &Caller<'_>, call: Call, seconds: i64) -> Answer {
    let message = format!(
        "more than {REFUSALS_A_MINUTE} calls of this credential were refused within a minute, so this one was not made. \
         Wait {seconds} s, then mend what the earlier refusals name before you call again."
    );
    let response = if caller.transport == "http" {
        let text = format!("Too many refusals: {message}");
        call.fault(&Fault::new(429, INVALID_REQUEST, text))
    } else {
        let refusal = Refusal { code: "too_many_refusals", message, data: None, meta: None };
        call.finish(Outcome::Refused(refusal))
    };
    Answer::Now(Reply { response, barred: Some(Barred::Flood(seconds)) })
}
