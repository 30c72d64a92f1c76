use serde_json::json;

use super::*;

fn check(expected: Value, got: Value, differ: &[&str]) {
    check_rows(expected, got, Rows::Other, differ);
}

fn check_rows(expected: Value, got: Value, rows: Rows, differ: &[&str]) {
    let found = differences(&expected, &got, rows);
    let paths: Vec<_> = found.iter().map(|text| text.split(':').next().unwrap_or_default()).collect();
    assert_eq!(paths, differ, "{found:?}");
}

#[test]
fn any_server_is_compared_by_value_but_for_what_is_opaque() {
    let check = |recorded: Value, now: Value, differ: &[&str]| {
        let found = compare(&recorded, &now, Of::Any, &[Pointer::parse("/result/hits/*/score").unwrap()]);
        let paths: Vec<_> = found.iter().map(|difference| difference.pointer.as_str()).collect();
        assert_eq!(paths, differ, "{found:?}");
    };
    let tools = |names: &[&str]| json!({"tools": names.iter().map(|name| json!({"name": name, "description": name})).collect::<Vec<_>>()});
    check(tools(&["a", "c"]), tools(&["a", "b", "c"]), &["/tools/1"]);
    check(tools(&["a", "b"]), tools(&["b"]), &["/tools/0"]);
    check(json!({"description": "a"}), json!({"description": "b"}), &["/description"]);
    check(json!({"nextCursor": "a"}), json!({"nextCursor": "b"}), &[]);
    check(json!({"nextCursor": "a"}), json!({}), &["/nextCursor"]);
    check(json!({"took_ms": 3, "ttlMs": 1}), json!({"took_ms": 4, "ttlMs": 2}), &["/ttlMs"]);
    check(json!("took 3 ms, 2 hits"), json!("took 14 ms, 2 hits"), &[]);
    check(json!("took 3 ms, 2 hits"), json!("took 3 ms, 3 hits"), &[""]);
    check(json!("mail [email-1] now"), json!("mail ann@shop.example now"), &[]);
    check(json!("mail [email-1] now"), json!("mail ann@shop.example later"), &[""]);
    check(json!({"a/b": {"~": 1}}), json!({"a/b": {"~": 2}}), &["/a~1b/~0"]);
    check(json!("8d3c1f9e-7b1a-4c1e-9a0e-0123456789ab"), json!("00000000-7b1a-4c1e-9a0e-0123456789ab"), &[]);
    let hits = |score: f64, n: u32| json!({"result": {"hits": [{"score": score, "n": n}]}});
    check(hits(0.5, 1), hits(0.25, 1), &[]);
    check(hits(0.5, 1), hits(0.25, 2), &["/result/hits/0/n"]);
    check(json!("{\"a\":1}"), json!("{\"a\":2}"), &["/a"]);
}

#[test]
fn a_text_that_repeats_the_structured_content_is_compared_there() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let result = |blocks: Value, structured: Value| json!({"result": {"content": blocks, "structuredContent": structured}});
    let (two, three) = (json!({"total": 2, "at": "x"}), json!({"total": 3, "at": "x"}));
    let (as_two, as_three) = (text(&two.to_string()), text("{ \"at\": \"x\",\n \"total\": 3 }"));
    let check = |recorded: Value, now: Value, differ: &[&str]| {
        let found = compare(&recorded, &now, Of::Any, &[]);
        let paths: Vec<_> = found.iter().map(|difference| difference.pointer.as_str()).collect();
        assert_eq!(paths, differ, "{found:?}");
    };
    let once = ["/result/structuredContent/total"];
    check(result(json!([as_two]), two.clone()), result(json!([as_three]), three.clone()), &once);
    // One side says something else in its text, or both do.
    check(
        result(json!([as_two]), two.clone()),
        result(json!([text("Three.")]), three.clone()),
        &["/result/content/0/text", once[0]],
    );
    check(
        result(json!([as_two]), two.clone()),
        result(json!([as_three]), two.clone()),
        &["/result/content/0/text/total"],
    );
    check(
        result(json!([text("Found."), as_two]), two.clone()),
        result(json!([text("Found 3."), as_three]), three.clone()),
        &["/result/content/0/text", once[0]],
    );
    check(json!({"content": [as_two]}), json!({"content": [as_three]}), &["/content/0/text/total"]);
}

#[test]
fn a_client_is_compared_but_for_ids_and_its_release() {
    let check = |recorded: Value, now: Value, differ: &[&str]| {
        let found = compare(&recorded, &now, Of::Client, &[]);
        let paths: Vec<_> = found.iter().map(|difference| difference.pointer.as_str()).collect();
        assert_eq!(paths, differ, "{found:?}");
    };
    let opaque = |recorded: &str, now: &str| {
        let found = compare_all(&json!([recorded]), &json!([now]), Of::Client, &[]);
        let pairs: Vec<_> = found.opaque.into_iter().map(|opaque| (opaque.recorded, opaque.now)).collect();
        (found.differences.is_empty(), pairs)
    };
    let pair = |recorded: &str, now: &str| (recorded.to_owned(), now.to_owned());
    assert_eq!(opaque("[a-1]", "x [b"), (true, vec![pair("[a-1]", "x [b")]));
    assert_eq!(
        opaque("[[a-1], [a-2], [a-3]!", "[x, y z, z!"),
        (true, vec![pair("[a-1]", "x"), pair("[a-2]", "y z"), pair("[a-3]", "z")])
    );
    for (recorded, now) in [("[a-1][a-2]", "xy"), ("[[a-1], [a-2]!", "[x, y, z!"), ("[a-1]--[a-2]", "x---y")]
    {
        assert_eq!(opaque(recorded, now), (true, vec![]), "{recorded}: nobody knows where one ends");
    }
    assert_eq!(opaque("x[a-1]x[a-2]x", "xxx"), (true, vec![pair("[a-1]", ""), pair("[a-2]", "")]));
    assert_eq!(opaque("x[a-1]x", "x"), (false, vec![]));
    assert_eq!(opaque("[a-1], [a-2]", "x y"), (false, vec![]));
    assert_eq!(opaque("x [a-1] y", "x y"), (false, vec![]));
    assert_eq!(opaque("x [1-a]", "x y"), (false, vec![]));
    let call = |id: Value, meta: Value| json!({"id": id, "method": "x", "params": {"_meta": meta}});
    check(call(1.into(), json!({"progressToken": 1})), call("a".into(), json!({"my/trace": "b"})), &[]);
    check(call(1.into(), json!({"a/b": 1})), json!({"jsonrpc": "2.0", "id": 2, "method": "x"}), &[]);
    let client =
        |version: &str, name: &str| json!({"params": {"clientInfo": {"name": name, "version": version}}});
    check(client("1", "c"), client("2", "c"), &[]);
    check(client("1", "c"), client("1", "d"), &["/params/clientInfo/name"]);
    check(json!({"params": {"a": 1}}), json!({"params": {"a": 2}}), &["/params/a"]);
    check(json!({"params": {"a": "[token-1]"}}), json!({"params": {"a": "cha_1"}}), &[]);
}

#[test]
fn a_secret_is_one_in_all_that_the_recorder_takes_for_it() {
    let check = |one: &str, other: &str, expected: bool| {
        assert_eq!(is_one_secret(one, other), expected, "{one} {other}");
        assert_eq!(is_one_secret(other, one), expected, "{other} {one}");
    };
    for form in ["ab/cd+e f==", "ab%2Fcd%2Be+f%3D%3D", "ab%2fcd%2be+f%3d%3d", "ab%2Fcd%2Be%20f%3D%3D"] {
        check("ab/cd+e f==", form, true);
        check("ab%2Fcd%2Be+f%3D%3D", form, true);
        check("ab/cd+e f=", form, false);
    }
    check("100%25", "100%", true);
    check("a%2541", "a%41", true);
    check("a%2541", "aA", false);
}

#[test]
fn the_envelope_is_compared_by_value() {
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete"}});
    check(answer.clone(), answer.clone(), &[]);
    check(
        answer.clone(),
        json!({"jsonrpc": "2.0", "id": "1", "result": {"resultType": "complete"}}),
        &["/id"],
    );
    check(answer, json!({"jsonrpc": "2.0", "id": 1, "error": {}}), &["/result", "/error"]);
    check(json!({"error": {"code": -32602}}), json!({"error": {"code": -32601}}), &["/error/code"]);
    let tools = |names: &[&str]| {
        let tools: Vec<_> = names.iter().map(|name| json!({"name": name, "description": name})).collect();
        json!({"tools": tools})
    };
    check(tools(&["a"]), tools(&["b"]), &["/tools/0/name"]);
    check(tools(&["a"]), tools(&["a", "b"]), &["/tools"]);
    check(json!({"description": "a"}), json!({"description": "b"}), &[]);
    check(json!({"description": "a"}), json!({"description": 1}), &["/description"]);
}

#[test]
fn what_rows_decide_is_compared_by_shape() {
    let result = |content: Value| json!({"content": [{"type": "text", "text": content.to_string()}], "structuredContent": content});
    let recorded = json!({"tickets": [{"id": 1, "subject": "a"}], "next_cursor": null, "total": 1});
    let replayed = json!({"tickets": [{"id": 9, "subject": "b"}, {"id": 8, "subject": "c"}],
        "next_cursor": "x", "total": 2, "notice": "One call is left."});
    check(result(recorded.clone()), result(replayed), &[]);
    let renamed = json!({"tickets": [{"id": "1", "subject": "a"}], "next_cursor": null, "count": 1});
    let at = ["/total", "/count", "/tickets/0/id"];
    let both: Vec<_> = ["/content/0/text", "/structuredContent"]
        .iter()
        .flat_map(|place| at.map(|path| format!("{place}{path}")))
        .collect();
    check(result(recorded), result(renamed), &both.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_same_rows_are_compared_by_value() {
    let result = |content: Value| json!({"content": [{"type": "text", "text": content.to_string()}]});
    let check = |recorded: Value, replayed: Value, differ: &[&str]| {
        let differ: Vec<_> = differ.iter().map(|path| format!("/content/0/text{path}")).collect();
        let differ: Vec<_> = differ.iter().map(String::as_str).collect();
        check_rows(result(recorded), result(replayed), Rows::Same, &differ);
    };
    let ticket = |subject: &str| json!({"subject": subject, "at": "2026-11-22T08:00:00Z", "title": subject});
    check(ticket("a 1"), ticket("a 1"), &[]);
    check(ticket("a 1"), ticket("a 2"), &["/subject", "/title"]);
    check(json!({"at": "2026-11-22T08:00:00Z"}), json!({"at": "2026-11-22T09:00:00Z"}), &[]);
    check(json!({"total": 1, "ids": [1]}), json!({"total": 2, "ids": []}), &["/total", "/ids"]);
    check(json!({"next_cursor": "a"}), json!({"next_cursor": "b"}), &[]);
    check(json!({"next_cursor": "a"}), json!({"next_cursor": null}), &["/next_cursor"]);
    check(json!({}), json!({"notice": "a"}), &["/notice"]);
}

#[test]
fn clocks_are_left_aside() {
    let text = |text: &str| json!({"isError": true, "content": [{"type": "text", "text": text}]});
    check(text("quota_exceeded: again in 17 s."), text("quota_exceeded: again in 3 s."), &[]);
    check(text("quota_exceeded: again in 17 s."), text("bad: again in 17 s."), &["/content/0/text"]);
    check(json!({"at": "2026-11-22T08:00:00Z"}), json!({"at": "2026-11-23T08:00:00Z"}), &[]);
    check(json!({"at": "2026-11-22T08:00:00Z"}), json!({"at": "later"}), &["/at"]);
    let quota = |left: u64| json!({"_meta": {"com.chaterimo/quota": {"left": left}}});
    check(quota(1), quota(2), &[]);
}
