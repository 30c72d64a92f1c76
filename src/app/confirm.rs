//! Asking the person before a call that everybody would notice, where the client can ask (elicitation). The question
//! goes out as the call's answer, with a `requestState` that binds it to this very call; the call comes again with both.

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::request_state::{open, seal};
use super::{Answer, App, Caller, Ended};
use crate::protocol::rpc::INVALID_PARAMS;
use crate::protocol::{Ask, Call, Fault, Outcome};
use crate::store::{call_log, quota};
use crate::tools::{Effect, Entry, Question, Refusal};

/// The method that asks a person.
pub(super) const ELICIT: &str = "elicitation/create";
/// The name of the one question.
const CONFIRM: &str = "confirm";

/// Why a call is not made, or not yet.
pub(super) enum Held {
    /// The model is told why.
    Refused(Refusal),
    /// It is no call that makes sense.
    Fault(Fault),
    /// The person is asked first; and the arguments, for the call that comes again.
    Asked(Box<(Ask, Map<String, Value>)>),
}

impl From<Refusal> for Held {
    fn from(refusal: Refusal) -> Held {
        Held::Refused(refusal)
    }
}

impl App {
    /// The arguments with which to make the call now: nothing is to be asked, or the person said yes. A yes holds for
    /// the version of the chatbot that it was asked about.
    pub(super) fn ask_first(
        &self,
        caller: &Caller<'_>,
        call: &Call,
        entry: &'static Entry,
        mut arguments: Value,
    ) -> Result<Value, Held> {
        let Some(question) = self.question(caller, call, entry, &arguments)? else { return Ok(arguments) };
        let now = self.clock.now();
        let hash = hash(&arguments);
        let organisation = caller.grant.tenant.key().to_be_bytes();
        let bound: [&[u8]; 4] =
            [&organisation, caller.grant.credential.as_bytes(), entry.spec.name.as_bytes(), &hash];
        let version = question.version.to_be_bytes();
        let asked = match call.request_state.as_deref() {
            Some(state) => Some(open(&self.keyring, &bound, state, now).ok_or_else(no_state)?),
            None => None,
        };
        let answer = call.answers.get(CONFIRM).filter(|_| asked.is_some_and(|asked| asked == version));
        let Some(answer) = answer else {
            let state = Some(seal(&self.keyring, &bound, &version, now));
            let again = arguments.as_object().cloned().unwrap_or_default();
            return Err(Held::Asked(Box::new((Ask { requests: request(&question), state }, again))));
        };
        if !is_yes(answer) {
            return Err(declined(&question).into());
        }
        arguments["if_version"] = question.version.into();
        Ok(arguments)
    }

    /// A call that is not made, or not yet: logged, and costs nothing; as a refusal it counts against floods.
    pub(super) fn hold(
        &self,
        caller: &Caller<'_>,
        call: Call,
        outcome: Outcome,
        row: call_log::Call,
    ) -> Answer {
        let code = match outcome {
            Outcome::Ask(_) => "input_required",
            _ => "invalid_request_state",
        };
        let logged = self.log_free(caller, code, row);
        self.floods.count(caller.grant, self.clock.now());
        if let Err(error) = logged {
            return self.answer(call, Ended::failed(error));
        }
        match outcome {
            Outcome::Ask(ask) if !call.peer.revision.is_modern() => Answer::Ask(call, ask),
            outcome => call.finish(outcome).into(),
        }
    }

    /// What is to be asked of this caller; nothing of a client that cannot ask, and nothing once the quota is used up.
    fn question(
        &self,
        caller: &Caller<'_>,
        call: &Call,
        entry: &'static Entry,
        arguments: &Value,
    ) -> Result<Option<Question>, Refusal> {
        if entry.spec.effect == Effect::Read || !call.peer.answers(ELICIT, None) {
            return Ok(None);
        }
        let now = self.clock.now();
        let looked = self.store.read(|tx| {
            let tx = tx.tenant_within(caller.grant.tenant, caller.grant.chatbots.as_deref());
            let exhausted = quota::balance(&tx, now)?.exhausted().is_some();
            Ok(if exhausted { Ok(None) } else { entry.question(&tx, arguments) })
        });
        looked.map_err(Refusal::from)?
    }
}

/// SHA-256 of the arguments, in whichever order a client writes them.
fn hash(arguments: &Value) -> [u8; 32] {
    let mut members: Vec<(&String, &Value)> = arguments.as_object().into_iter().flatten().collect();
    members.sort_by_key(|(name, _)| *name);
    let text = serde_json::to_vec(&members).unwrap_or_default();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &text).as_ref());
    hash
}

fn request(question: &Question) -> Map<String, Value> {
    let schema = json!({
        "type": "object",
        "properties": {CONFIRM: {"type": "boolean", "title": question.yes, "default": false}},
        "required": [CONFIRM]
    });
    let params = json!({"message": question.message, "requestedSchema": schema});
    Map::from_iter([(CONFIRM.to_owned(), json!({"method": ELICIT, "params": params}))])
}

fn is_yes(answer: &Value) -> bool {
    answer["action"] == "accept" && answer["content"][CONFIRM] == true
}

fn declined(question: &Question) -> Refusal {
    let text = format!(
        "nothing was changed. The person did not say yes, or this client had nobody to ask: {} Do not call again unless they \
         say so; they can also do it themselves, on the dashboard.",
        question.message
    );
    Refusal::new("declined", text)
}

/// The refusal where the question cannot be put.
pub(super) fn nobody_to_ask() -> Refusal {
    Refusal::new(
        "declined",
        "nothing was changed: the person is to be asked first, which cannot be done within a batch, nor while this \
         client has too many streams open. Make the call by itself, with fewer streams.",
    )
}

fn no_state() -> Held {
    let text = "requestState: not one that was given for this call with these arguments, or older than 10 minutes. Call \
                again without it, and the question is asked anew.";
    Held::Fault(Fault::new(200, INVALID_PARAMS, text))
}
