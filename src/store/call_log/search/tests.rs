use super::super::{Call, Class, Counts, Wanted, append, counts, tallies};
use super::*;
use crate::clock::{DAY, HOUR};
use crate::store::organisation::{self, Plan};
use crate::store::{Durability, Store, Tenant};

/// 2,500 calls of one organisation, 20 minutes apart from 1970-01-03 on, among as many of another.
struct Log {
    store: Store,
    tenant: Tenant,
    _folder: tempfile::TempDir,
}

const CALLS: i64 = 2_500;
const START: i64 = 2 * DAY;
const STEP: i64 = 20 * MINUTE;

/// What the call of that number, from 1, was.
fn call(n: i64) -> Call {
    let outcome = match n {
        300 | 2_450 => "quota_exceeded",
        _ if n % 100 == 7 => "not_found",
        _ => "ok",
    };
    Call {
        at: Time(START + (n - 1) * STEP),
        credential: format!("key:{}", n % 3),
        client: if n == 42 { "Odd_100%".into() } else { "claude".into() },
        client_version: "1".into(),
        transport: "http",
        endpoint: "full",
        tool: if n % 500 == 1 { "get_ticket" } else { "list_chatbots" },
        arguments: format!("{{\"n\":{n}}}"),
        outcome,
        duration_us: n,
        day_remaining: None,
    }
}

impl Log {
    fn new() -> Log {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let filled = store.write(Durability::Process, |tx| {
            let ours = organisation::create(tx, "ours", "Ours", Plan::Paid, Time(0))?.tenant;
            let theirs = organisation::create(tx, "theirs", "Theirs", Plan::Paid, Time(0))?.tenant;
            for n in 1..=CALLS {
                append(&tx.tenant(ours), &call(n))?;
                append(&tx.tenant(theirs), &Call { credential: "theirs".into(), ..call(n) })?;
            }
            Ok(ours)
        });
        Log { tenant: filled.unwrap(), store, _folder: folder }
    }

    fn read<T>(&self, job: impl FnOnce(&TenantTx<'_>) -> Result<T>) -> T {
        self.store.read(|tx| job(&tx.tenant(self.tenant))).unwrap()
    }

    /// All pages one after the other: the numbers found, and how many pages.
    fn pages(&self, filter: &Filter, limit: usize) -> (Vec<i64>, usize) {
        let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = self.read(|tx| page(tx, filter, before, limit));
            assert!(page.calls.iter().all(|call| call.credential != "theirs"));
            found.extend(page.calls.iter().map(|call| call.id));
            pages += 1;
            assert!(page.calls.len() <= limit && pages < 1_000);
            match page.next {
                Some(next) => before = Some(next),
                None => return (found, pages),
            }
        }
    }
}

/// The numbers that `wanted` says, newest first.
fn numbers(wanted: impl Fn(i64, &Call) -> bool) -> Vec<i64> {
    (1..=CALLS).rev().filter(|n| wanted(*n, &call(*n))).collect()
}

#[test]
fn every_filter_finds_what_it_says_and_counts_it() {
    let log = Log::new();
    let check = |filter: Filter, wanted: &dyn Fn(i64, &Call) -> bool| {
        let expected = numbers(wanted);
        for limit in [7, 50] {
            assert_eq!(log.pages(&filter, limit).0, expected, "{filter:?} by {limit}");
        }
        let mut whole = Vec::new();
        log.read(|tx| {
            each(tx, &filter, 10_000, |call| {
                whole.push(call.id);
                Ok(())
            })
        });
        assert_eq!(whole, expected, "{filter:?} whole");
        let mut sum = Counts::default();
        expected.iter().for_each(|n| sum.add(call(*n).outcome, 1));
        let counted = log.read(|tx| counts(tx, &filter));
        let both = filter.tool.is_some() && filter.credential.is_some();
        let searching = both || filter.client.is_some() || filter.text.is_some();
        assert_eq!(counted, (!searching).then_some(sum), "{filter:?}");
    };
    let all = Filter::default;
    check(all(), &|_, _| true);
    check(Filter { tool: Some("get_ticket".into()), ..all() }, &|_, call| call.tool == "get_ticket");
    check(Filter { tool: Some("nothing".into()), ..all() }, &|_, _| false);
    let both = Filter { tool: Some("get_ticket".into()), credential: Some("key:1".into()), ..all() };
    check(both, &|_, call| call.tool == "get_ticket" && call.credential == "key:1");
    check(Filter { credential: Some("key:2".into()), ..all() }, &|_, call| call.credential == "key:2");
    for class in [Class::Ok, Class::Refused, Class::Failed] {
        let wanted = move |_: i64, call: &Call| Class::of(call.outcome) == class;
        check(Filter { outcome: Some(Wanted::Class(class)), ..all() }, &wanted);
    }
    let code = Some(Wanted::Code("quota_exceeded".into()));
    check(Filter { outcome: code.clone(), ..all() }, &|n, _| n == 300 || n == 2_450);
    check(Filter { client: Some("CLAUDE".into()), ..all() }, &|n, _| n != 42);
    check(Filter { client: Some("_100%".into()), ..all() }, &|n, _| n == 42);
    check(Filter { text: Some("\"n\":77".into()), ..all() }, &|n, _| n == 77 || (770..780).contains(&n));
    // Spans that begin and end within days, at midnight, on one day, nowhere, and with other conditions.
    let span = |from: i64, until: i64| Span { from: Some(Time(from)), until: Some(Time(until)) };
    for (from, until) in [
        (START, START + 5 * DAY),
        (START + 3 * HOUR, START + 9 * DAY + HOUR),
        (START + HOUR, START + 2 * HOUR),
        (START + 23 * HOUR, START + 25 * HOUR),
        (0, START),
        (START + 900 * DAY, START + 901 * DAY),
        (START + 5 * DAY, START),
    ] {
        let inside = move |call: &Call| (from..until).contains(&call.at.0);
        check(Filter { span: span(from, until), ..all() }, &|_, call| inside(call));
        let both = Filter { span: span(from, until), credential: Some("key:1".into()), ..all() };
        check(both, &|_, call| inside(call) && call.credential == "key:1");
    }
    let since = Span { from: Some(Time(START + 30 * DAY + 1)), until: None };
    check(Filter { span: since, outcome: code, ..all() }, &|n, _| n == 2_450);
}

#[test]
fn what_is_in_no_count_yet_is_found_as_well() {
    let log = Log::new();
    let counted = log.read(counted);
    assert_eq!(counted, 2_048);
    for (axis, values) in [(Axis::All, 1), (Axis::Tool, 2), (Axis::Credential, 3)] {
        let tallies = log.read(|tx| tallies(tx, axis, 0, 1_000));
        assert_eq!(tallies.iter().map(|tally| tally.calls).sum::<i64>(), CALLS);
        let distinct: std::collections::BTreeSet<_> = tallies.iter().map(|tally| &tally.value).collect();
        assert_eq!(distinct.len(), values, "{axis:?}");
    }
}

#[test]
fn a_page_stops_before_it_has_read_the_whole_log() {
    let log = Log::new();
    let tenant = log.tenant;
    let more = LOOKED_AT_MAX + 500;
    let append_more = move |tx: &crate::store::SystemTx<'_>| {
        (1..=more)
            .try_for_each(|n| append(&tx.tenant(tenant), &Call { client: "x".into(), ..call(CALLS + n) }))
    };
    log.store.write(Durability::Process, append_more).unwrap();
    let filter = Filter { client: Some("Odd".into()), ..Filter::default() };
    let page = log.read(|tx| page(tx, &filter, None, 50));
    assert!(page.calls.is_empty());
    assert_eq!(page.next, Some(CALLS + more - LOOKED_AT_MAX + 1));
    assert_eq!(page.looked_until, Some(call(CALLS + 501).at));
    assert_eq!(log.pages(&filter, 50), (vec![42], 2));
}
