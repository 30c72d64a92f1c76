//! What open streams are told: which of the things that a client watches are others than they were.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use super::{App, tasks};
use crate::access::Grant;
use crate::clock::Clock;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::protocol::{Event, Filter};
use crate::resources::{self, Address};
use crate::store::{Store, Tenant, TenantTx, chatbot, conversation, quota};

/// What one stream has been told, or had no need to be told. It holds numbers alone, a few for each thing watched.
///
/// Take [`App::changes`] first, then make the feed; when the number moves, ask for [`Feed::news`].
pub struct Feed {
    store: Arc<Store>,
    keyring: Arc<Keyring>,
    clock: Clock,
    tenant: Tenant,
    chatbots: Option<Arc<[i64]>>,
    /// How each thing stood that was asked for the last time, by its address; the list of all has [`LIST`].
    seen: HashMap<String, u64>,
    /// How each task stood when the client was told of it.
    tasks: HashMap<String, u64>,
}

/// What stands for the list of resources among the addresses.
const LIST: &str = "";

impl Feed {
    /// The feed of a stream with this filter, in the name of `grant`. What is there now is no news.
    ///
    /// # Errors
    /// Those of the store.
    pub fn new(app: &App, grant: &Grant, filter: &Filter) -> Result<Feed> {
        let (store, clock) = (Arc::clone(&app.store), app.clock.clone());
        let chatbots = grant.chatbots.clone();
        let keyring = Arc::clone(&app.keyring);
        let (seen, tasks) = (HashMap::new(), HashMap::new());
        let mut feed = Feed { store, keyring, clock, tenant: grant.tenant, chatbots, seen, tasks };
        feed.resource_news(filter)?;
        Ok(feed)
    }

    /// How the tasks stand that stand otherwise than the client knows. A task is told of as it is when it is watched
    /// for the first time: it may have ended before anybody listened.
    fn task_news(&mut self, filter: &Filter) -> Result<Vec<Event>> {
        let now = self.clock.now();
        let found = self.store.read(|tx| {
            let tx = tx.tenant_within(self.tenant, self.chatbots.as_deref());
            let detailed = |id: &String| {
                let found =
                    tasks::find(&self.keyring, &tx, id, now)?.map(|task| task.detailed()).transpose()?;
                Ok(found.map(|members| (id.clone(), members)))
            };
            filter.tasks.iter().filter_map(|id| detailed(id).transpose()).collect::<Result<Vec<_>>>()
        })?;
        let mut news = Vec::new();
        for (id, members) in found {
            let state = state(&members);
            if self.tasks.insert(id.clone(), state) != Some(state) {
                news.push(Event::Task { id, members });
            }
        }
        Ok(news)
    }

    /// What changed since the last time, of what `filter` watches. What it watches for the first time is no news,
    /// but for tasks: ask at once when a filter has grown, or has tasks.
    ///
    /// # Errors
    /// Those of the store.
    pub fn news(&mut self, filter: &Filter) -> Result<Vec<Event>> {
        let mut news = self.resource_news(filter)?;
        if !filter.tasks.is_empty() {
            news.extend(self.task_news(filter)?);
        }
        Ok(news)
    }

    fn resource_news(&mut self, filter: &Filter) -> Result<Vec<Event>> {
        let watched: Vec<(&str, Address)> =
            filter.uris.iter().filter_map(|uri| Some((uri.as_str(), resources::find(uri)?))).collect();
        if !filter.resources && watched.is_empty() {
            self.seen.clear();
            return Ok(Vec::new());
        }
        let now = self.store.read(|tx| {
            let tx = tx.tenant_within(self.tenant, self.chatbots.as_deref());
            self.states(&tx, filter.resources, &watched)
        })?;
        let changed = |(uri, state): &(&String, &u64)| self.seen.get(*uri).is_some_and(|seen| seen != *state);
        let mut news: Vec<Event> = now.iter().filter(changed).map(|(uri, _)| event(uri)).collect();
        news.sort_by_key(|event| match event {
            Event::ResourceUpdated(uri) => uri.clone(),
            _ => String::new(),
        });
        self.seen = now;
        Ok(news)
    }

    /// How each thing stands: one query for the chatbots, one for the conversations, one for the usage.
    fn states(
        &self,
        tx: &TenantTx<'_>,
        with_list: bool,
        watched: &[(&str, Address)],
    ) -> Result<HashMap<String, u64>> {
        let ids = |of: fn(&Address) -> Option<i64>| -> Vec<i64> {
            watched.iter().filter_map(|(_, address)| of(address)).collect()
        };
        let (bots, talks) = (ids(Address::chatbot), ids(Address::conversation));
        let mut states = HashMap::new();
        let marks = match (with_list, bots.is_empty()) {
            (true, _) => chatbot::marks(tx, None)?,
            (false, false) => chatbot::marks(tx, Some(&bots))?,
            (false, true) => Vec::new(),
        };
        if with_list {
            let listed: Vec<_> = marks.iter().map(|mark| (mark.id, &mark.name)).collect();
            states.insert(LIST.to_owned(), state(&listed));
        }
        let grown = if talks.is_empty() { Vec::new() } else { conversation::marks(tx, &talks)? };
        for (uri, address) in watched {
            let of_bot = |id| marks.iter().find(|mark| mark.id == id);
            let found = match (address.chatbot(), address.conversation()) {
                (Some(id), _) if address.is_history() => state(&of_bot(id).map(|mark| mark.version)),
                (Some(id), _) => state(&of_bot(id)),
                (_, Some(id)) => state(&grown.iter().find(|mark| mark.id == id)),
                _ if address.kind.is_usage() => self.usage(tx)?,
                _ => continue,
            };
            states.insert((*uri).to_owned(), found);
        }
        Ok(states)
    }

    /// The sliding minute moves by itself, so it is not news.
    fn usage(&self, tx: &TenantTx<'_>) -> Result<u64> {
        let balance = quota::balance(tx, self.clock.now())?;
        Ok(state(&(balance.plan.as_str(), balance.minute.limit, balance.day.limit, balance.day.remaining)))
    }
}

fn event(uri: &str) -> Event {
    match uri {
        LIST => Event::ResourcesChanged,
        uri => Event::ResourceUpdated(uri.to_owned()),
    }
}

fn state(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::{self, api_key};
    use crate::clock::Time;
    use crate::store::organisation::{self, Plan};
    use crate::store::testing::{self, Talk};
    use crate::store::{Durability, chatbot::By, training_job};

    const NOW: Time = Time(1_795_334_400_000);

    /// An organisation with two chatbots and a conversation, and a grant on it.
    fn app() -> (tempfile::TempDir, App, Grant) {
        let folder = tempfile::tempdir().unwrap();
        let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
        let made = app.store.write(Durability::Process, |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, NOW)?.tenant;
            let tx = tx.tenant(tenant);
            (1..=2).try_for_each(|id| testing::chatbot(&tx, id, "Bot"))?;
            testing::put(&tx, 1, &Talk::at(NOW))?;
            api_key::create(&tx, "test", false, NOW)
        });
        let key = made.unwrap().1;
        let grant = access::authenticate(&app.store, &app.keyring, &key, NOW).unwrap().unwrap();
        (folder, app, grant)
    }

    fn write<T: Send + 'static>(
        app: &App,
        grant: &Grant,
        job: impl FnOnce(&TenantTx<'_>) -> Result<T> + Send + 'static,
    ) {
        let tenant = grant.tenant;
        app.store.write(Durability::Process, move |tx| job(&tx.tenant(tenant))).unwrap();
    }

    fn rename(tx: &TenantTx<'_>, id: i64, name: &'static str) -> Result<()> {
        let by = By { origin: "undo", actor: "me", now: NOW };
        chatbot::change(tx, id, None, &by, |settings| {
            settings.name = name.into();
            Ok(())
        })
        .map(|_| ())
    }

    fn watching(resources: bool, uris: &[&str]) -> Filter {
        let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
        Filter { resources, uris, ..Filter::default() }
    }

    fn updated(uris: &[&str]) -> Vec<Event> {
        uris.iter().map(|uri| Event::ResourceUpdated((*uri).to_owned())).collect()
    }

    const BOT: &str = "chaterimo://chatbots/1";
    const HISTORY: &str = "chaterimo://chatbots/1/history";
    const OTHER: &str = "chaterimo://chatbots/2";
    const TALK: &str = "chaterimo://conversations/1";
    const USAGE: &str = "chaterimo://usage";

    #[test]
    fn tells_each_change_once_to_who_watches_it() {
        let (_folder, app, grant) = app();
        let filter = watching(true, &[BOT, HISTORY, TALK, USAGE, "chaterimo://nothing"]);
        let mut feed = Feed::new(&app, &grant, &filter).unwrap();
        let mut check = |expected: Vec<Event>, what: &str| {
            assert_eq!(feed.news(&filter).unwrap(), expected, "{what}");
            assert_eq!(feed.news(&filter).unwrap(), [], "{what}: once");
        };
        check(vec![], "nothing happened");
        write(&app, &grant, |tx| {
            let by = By { origin: "undo", actor: "me", now: NOW };
            chatbot::change(tx, 1, None, &by, |settings| {
                settings.instructions = "Be kind.".into();
                Ok(())
            })
        });
        check(updated(&[BOT, HISTORY]), "settings");
        write(&app, &grant, |tx| training_job::start(tx, 1, "me", NOW));
        check(updated(&[BOT]), "training");
        write(&app, &grant, |tx| rename(tx, 2, "Other"));
        check(vec![Event::ResourcesChanged], "another's name");
        write(&app, &grant, |tx| testing::chatbot(tx, 3, "Third"));
        check(vec![Event::ResourcesChanged], "a new chatbot");
        write(&app, &grant, |tx| testing::put(tx, 1, &Talk { messages: 3, ..Talk::at(NOW) }));
        check(updated(&[TALK]), "a message");
        write(&app, &grant, |tx| quota::debit(tx, NOW).map(drop));
        check(updated(&[USAGE]), "a call");
    }

    #[test]
    fn what_is_watched_for_the_first_time_is_no_news() {
        let (_folder, app, grant) = app();
        let mut feed = Feed::new(&app, &grant, &watching(false, &[BOT])).unwrap();
        write(&app, &grant, |tx| (1..=2).try_for_each(|id| rename(tx, id, "New")));
        let grown = watching(true, &[BOT, OTHER]);
        assert_eq!(feed.news(&grown).unwrap(), updated(&[BOT]));
        write(&app, &grant, |tx| rename(tx, 2, "Newer"));
        let all = [vec![Event::ResourcesChanged], updated(&[OTHER])].concat();
        assert_eq!(feed.news(&grown).unwrap(), all);
        assert_eq!(feed.news(&Filter::default()).unwrap(), []);
        // What comes into being under an address that is watched is news.
        let later = watching(false, &["chaterimo://chatbots/3"]);
        feed.news(&later).unwrap();
        write(&app, &grant, |tx| testing::chatbot(tx, 3, "Third"));
        assert_eq!(feed.news(&later).unwrap(), updated(&["chaterimo://chatbots/3"]));
    }

    #[test]
    fn another_organisations_changes_and_hidden_chatbots_are_no_news() {
        let (_folder, app, grant) = app();
        let filter = watching(true, &[BOT, OTHER, TALK]);
        let limited = Grant { chatbots: Some([2].into()), ..grant.clone() };
        let mut feeds = [&grant, &limited].map(|grant| Feed::new(&app, grant, &filter).unwrap());
        let theirs = app.store.write(Durability::Process, |tx| {
            let theirs = tx.tenant(organisation::create(tx, "globex", "Globex", Plan::Paid, NOW)?.tenant);
            (1..=2).try_for_each(|id| testing::chatbot(&theirs, id, "Bot"))?;
            (1..=2).try_for_each(|id| rename(&theirs, id, "Zebra"))?;
            testing::put(&theirs, 1, &Talk::at(NOW))
        });
        theirs.unwrap();
        feeds.iter_mut().for_each(|feed| assert_eq!(feed.news(&filter).unwrap(), []));
        write(&app, &grant, |tx| {
            testing::put(tx, 1, &Talk { messages: 9, ..Talk::at(NOW) })?;
            rename(tx, 1, "Zebra")
        });
        let [ours, limited] = &mut feeds;
        assert_eq!(
            ours.news(&filter).unwrap(),
            [vec![Event::ResourcesChanged], updated(&[BOT, TALK])].concat()
        );
        assert_eq!(limited.news(&filter).unwrap(), []);
        write(&app, &grant, |tx| rename(tx, 2, "Seen"));
        assert_eq!(
            limited.news(&filter).unwrap(),
            [vec![Event::ResourcesChanged], updated(&[OTHER])].concat()
        );
    }

    #[test]
    fn a_change_by_a_tool_moves_the_number_at_once() {
        let (_folder, app, grant) = app();
        let mut changes = app.changes();
        changes.borrow_and_update();
        let arguments = json!({"chatbot_id": 1, "name": "Mine"});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "update_chatbot_settings", "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}}}});
        let parsed = crate::protocol::rpc::parse(message.to_string().as_bytes());
        let Ok(crate::protocol::Incoming::One(message)) = parsed else { panic!("a message") };
        let signals = app.signals(&grant, access::Endpoint::Full, false);
        let step = app.engine.handle(&mut Default::default(), super::super::View::Full, None, message);
        let crate::protocol::Step::Call(call) = step else { panic!("a call") };
        let arrived = crate::clock::instant();
        let caller = super::super::Caller { grant: &grant, signals, transport: "stdio", arrived };
        let answer = app.call(&caller, call).at_once().response.body;
        assert!(!String::from_utf8(answer).unwrap().contains("isError"));
        assert!(changes.has_changed().unwrap());
    }
}
