//! What is asked for beyond tools: resources, prompts, completion. Reading a resource is a call like any other; the rest
//! costs nothing and stands in no log.

use serde_json::{Value, json};

use super::{Answer, App, Caller, Ended, catalog, floods, refused, words};
use crate::access::{self, Reach};
use crate::completion::{self, Source, Values};
use crate::error::{Error, Kind};
use crate::prompts::{self, PROMPTS, Prompt};
use crate::protocol::rpc::INVALID_PARAMS;
use crate::protocol::{Cache, Call, Completable, Fault, Found, Outcome, Peer, Target};
use crate::resources::{self, Address};
use crate::tools::Refusal;

/// What belongs to an organisation is not kept: it may change with the next call.
const STALE_AT_ONCE: Option<Cache> = Some(Cache { ttl_ms: 0, public: false });

impl App {
    /// Answers what is no call of a tool.
    pub(super) fn content(&self, caller: &Caller<'_>, call: Call) -> Answer {
        let found = match &call.target {
            Target::Resource { uri } => match shown(uri, &call.peer) {
                Some(address) => return self.resource(caller, call, address),
                None => return no_resource(call),
            },
            Target::Resources { cursor } => self.resources(caller, cursor.as_deref(), &call.peer),
            Target::Prompt { index, arguments, .. } => PROMPTS
                .get(*index)
                .ok_or_else(unknown)
                .and_then(|prompt| self.prompt(caller, prompt, arguments)),
            Target::Completion { of, argument, value, .. } => self.completion(caller, *of, argument, value),
            Target::Task { op, id } => self.task(caller, &call, op, id),
            Target::Tool { .. } => Err(unknown()),
        };
        let outcome = found.unwrap_or_else(|refusal| self.refused_free(&call, refusal));
        call.finish(outcome).into()
    }

    /// Reads a resource: a call with its quota and its row in the log, but where its kind is free.
    fn resource(&self, caller: &Caller<'_>, call: Call, address: Address) -> Answer {
        if address.kind.free {
            let (spec, arguments) = (&resources::READ, &Value::Null);
            let read = self.look(caller, spec, arguments, self.clock.now(), |cx| address.read(&cx));
            return self.contents(call, address, Ended::of(read.flatten(), None));
        }
        let arguments = match &call.target {
            Target::Resource { uri } => json!({"uri": uri}),
            _ => json!({}),
        };
        let row = self.log_row(caller, &call, &arguments);
        if let Some(seconds) = self.is_flood(caller.grant, row.at, false) {
            return floods::answer(caller, call, seconds);
        }
        let ended = self.read(caller, &resources::READ, &arguments, row, |cx| address.read(cx));
        match ended.flood {
            Some(seconds) => floods::answer(caller, call, seconds),
            None => self.contents(call, address, ended),
        }
    }

    fn contents(&self, call: Call, address: Address, ended: Ended) -> Answer {
        if ended.result.as_ref().is_err_and(|refusal| refusal.code == "not_found") {
            return no_resource(call);
        }
        self.answer_with(call, ended, |mut text, balance, meta| {
            if address.kind.mime_type == resources::JSON {
                words::add_notice(&mut text, balance);
            }
            let members = address.contents(&text);
            Outcome::Result(Found { members, cache: STALE_AT_ONCE, meta })
        })
    }

    fn resources(&self, caller: &Caller<'_>, cursor: Option<&str>, peer: &Peer) -> Result<Outcome, Refusal> {
        let declares = |extension: &str| peer.has_extension(extension);
        let list = |cx: crate::tools::Cx<'_>| resources::list(&cx, cursor, declares);
        let page = self.look(caller, &resources::LIST, &Value::Null, self.clock.now(), list).flatten()?;
        let mut members = json!({"resources": page.items});
        if let Some(next) = page.next_cursor {
            members["nextCursor"] = next.into();
        }
        Ok(result(&members, STALE_AT_ONCE))
    }

    fn prompt(
        &self,
        caller: &Caller<'_>,
        prompt: &Prompt,
        arguments: &serde_json::Map<String, Value>,
    ) -> Result<Outcome, Refusal> {
        let writes = access::reach(caller.signals) == Reach::Full;
        let got = self.look(caller, &resources::READ, &Value::Null, self.clock.now(), |cx| {
            prompt.get(&prompts::Cx { tx: cx.tx, now: cx.now, writes }, arguments)
        })?;
        match got {
            Ok(members) => Ok(Outcome::Result(Found { members, ..Found::default() })),
            Err(error) if error.kind == Kind::Invalid => Err(Refusal::arguments(error.public)),
            Err(error) => Err(error.into()),
        }
    }

    fn completion(
        &self,
        caller: &Caller<'_>,
        of: Completable,
        argument: &str,
        value: &str,
    ) -> Result<Outcome, Refusal> {
        let values = match source(of, argument) {
            Some(source) => self.look(caller, &resources::READ, &Value::Null, self.clock.now(), |cx| {
                completion::complete(cx.tx, source, value)
            })??,
            None => Values { total: Some(0), ..Values::default() },
        };
        let mut members = json!({"values": values.values, "hasMore": values.has_more});
        if let Some(total) = values.total {
            members["total"] = total.into();
        }
        Ok(result(&json!({"completion": members}), None))
    }

    /// Wrong parameters are an error of their own; any other refusal says its code.
    fn refused_free(&self, call: &Call, refusal: Refusal) -> Outcome {
        match refusal.code {
            "invalid_arguments" => Outcome::Fault(Fault::new(
                200,
                INVALID_PARAMS,
                format!("Invalid params: {}", refusal.message),
            )),
            _ => Outcome::Refused(refused(call.name(), refusal, None, self.clock.now(), None)),
        }
    }
}

fn unknown() -> Refusal {
    Error::internal("the engine knows of something that the tables have not").into()
}

/// The address, if it can be one that this client sees.
fn shown(uri: &str, peer: &Peer) -> Option<Address> {
    resources::find(uri).filter(|address| address.kind.is_shown(|extension| peer.has_extension(extension)))
}

/// One answer for what is not there, what is another's, and what never was an address.
fn no_resource(call: Call) -> Answer {
    let uri = match &call.target {
        Target::Resource { uri } => uri.clone(),
        _ => String::new(),
    };
    call.finish(Outcome::NoResource(uri)).into()
}

fn result(members: &Value, cache: Option<Cache>) -> Outcome {
    Outcome::Result(Found { members: members.to_string(), cache, meta: None })
}

/// What completes an argument of a prompt, or the variable of a family of resources.
fn source(of: Completable, argument: &str) -> Option<Source> {
    match of {
        Completable::Prompt(index) => {
            let mut arguments = PROMPTS.get(index)?.arguments.iter();
            arguments.find(|known| known.name == argument)?.takes.completed_by()
        }
        Completable::Template(index) => {
            catalog::templates().nth(index)?.completes.filter(|_| argument == resources::VARIABLE)
        }
    }
}
