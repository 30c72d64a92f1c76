use serde_json::{Value, json};

use super::Class::{Additive, Breaking, Cosmetic};
use super::{Class, Surface, changes};

fn surface(value: Value) -> Surface {
    Surface::parse(&value.to_string()).unwrap()
}

fn check_all(old: Value, new: Value, expected: &[(Class, &str)]) {
    let found = changes(&surface(old), &surface(new));
    let shown: Vec<_> = found.iter().map(|change| (change.class, change.pointer.as_str())).collect();
    assert_eq!(shown, expected, "{found:#?}");
}

/// One tool with these members.
fn tool(members: Value) -> Value {
    let mut tool = json!({"name": "t", "inputSchema": {"type": "object"}});
    tool.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!([tool])
}

fn check(old: Value, new: Value, expected: &[(Class, &str)]) {
    check_all(tool(old), tool(new), expected);
}

/// The schema of an argument, and the same of a member of the answer: what a change of it is.
fn check_schema(old: Value, new: Value, at: &str, input: Class, output: Class) {
    for (side, class) in [("inputSchema", input), ("outputSchema", output)] {
        let of = |schema: &Value| json!({side: {"type": "object", "properties": {"a": schema}}});
        check(of(&old), of(&new), &[(class, &format!("/{side}/properties/a{at}"))]);
    }
}

#[test]
fn tools_come_and_go() {
    let named = |names: &[&str]| json!({"tools": names.iter().map(|name| json!({"name": name, "inputSchema": {}})).collect::<Vec<_>>()});
    check_all(named(&["a", "b"]), named(&["a", "b"]), &[]);
    check_all(named(&["a", "b"]), named(&["a"]), &[(Breaking, "")]);
    check_all(named(&["a"]), named(&["b", "a"]), &[(Additive, "")]);
    check_all(named(&["a", "b"]), named(&["b", "a"]), &[(Cosmetic, "")]);
    check_all(json!({"result": named(&["a"])}), named(&["c"]), &[(Breaking, ""), (Additive, "")]);
}

#[test]
fn texts_are_cosmetic() {
    check(
        json!({"description": "a"}),
        json!({"description": "b", "title": "T"}),
        &[(Cosmetic, "/title"), (Cosmetic, "/description")],
    );
    check_schema(
        json!({"description": "a"}),
        json!({"description": "b"}),
        "/description",
        Cosmetic,
        Cosmetic,
    );
}

#[test]
fn hints_are_judged_by_what_they_mean() {
    let check = |old: Value, new: Value, expected: &[(Class, &str)]| {
        check(json!({"annotations": old}), json!({"annotations": new}), expected);
    };
    check(
        json!({"readOnlyHint": true}),
        json!({}),
        &[
            (Breaking, "/annotations/readOnlyHint"),
            (Breaking, "/annotations/destructiveHint"),
            (Breaking, "/annotations/idempotentHint"),
        ],
    );
    check(json!({}), json!({"destructiveHint": false}), &[(Additive, "/annotations/destructiveHint")]);
    check(json!({"destructiveHint": false}), json!({}), &[(Breaking, "/annotations/destructiveHint")]);
    check(json!({}), json!({"destructiveHint": true}), &[(Cosmetic, "/annotations/destructiveHint")]);
    check(
        json!({"openWorldHint": false}),
        json!({"openWorldHint": true}),
        &[(Breaking, "/annotations/openWorldHint")],
    );
}

#[test]
fn arguments_and_members_come_and_go() {
    let object = |members: &[&str], required: &[&str]| {
        let members: serde_json::Map<_, _> =
            members.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        json!({"type": "object", "properties": members, "required": required})
    };
    let check = |old: Value, new: Value, at: &str, input: Option<Class>, output: Option<Class>| {
        for (side, class) in [("inputSchema", input), ("outputSchema", output)] {
            let expected: Vec<_> = class.map(|class| (class, format!("/{side}{at}"))).into_iter().collect();
            let expected: Vec<_> = expected.iter().map(|(class, at)| (*class, at.as_str())).collect();
            check(json!({side: old}), json!({side: new}), &expected);
        }
    };
    let a = "/properties/a";
    check(object(&["a"], &[]), object(&[], &[]), a, Some(Breaking), Some(Breaking));
    check(object(&[], &[]), object(&["a"], &[]), a, Some(Additive), Some(Additive));
    check(object(&[], &[]), object(&["a"], &["a"]), a, Some(Breaking), Some(Additive));
    check(object(&["a"], &[]), object(&["a"], &["a"]), a, Some(Breaking), Some(Additive));
    check(object(&["a"], &["a"]), object(&["a"], &[]), a, Some(Additive), Some(Breaking));
    let closed = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    check(object(&[], &[]), closed.clone(), "/additionalProperties", Some(Breaking), Some(Additive));
    check(closed, object(&[], &[]), "/additionalProperties", Some(Additive), Some(Additive));
    check(object(&["a"], &["a"]), object(&["a"], &["a"]), "", None, None);
}

#[test]
fn wider_is_good_for_callers_and_narrower_for_readers() {
    let both = |old: Value, new: Value, at: &str| {
        check_schema(old.clone(), new.clone(), at, Additive, Breaking);
        check_schema(new, old, at, Breaking, Additive);
    };
    both(json!({"type": "string"}), json!({"type": ["string", "null"]}), "/type");
    both(json!({"type": "integer"}), json!({"type": "number"}), "/type");
    both(json!({"type": "string"}), json!({}), "/type");
    both(json!({"enum": ["a"]}), json!({"enum": ["b", "a"]}), "/enum");
    both(json!({"enum": ["a"]}), json!({}), "/enum");
    both(json!({"const": 1}), json!({"enum": [1, 2]}), "/enum");
    both(json!({"minimum": 2}), json!({"minimum": 1}), "/minimum");
    both(json!({"maxLength": 5}), json!({"maxLength": 6}), "/maxLength");
    both(json!({"maxItems": 5}), json!({}), "/maxItems");
    both(json!({"pattern": "a"}), json!({}), "/pattern");
    both(json!({"multipleOf": 4}), json!({"multipleOf": 2}), "/multipleOf");
    both(json!({"uniqueItems": true}), json!({"uniqueItems": false}), "/uniqueItems");
    both(json!({"items": {"type": "integer"}}), json!({"items": {"type": "number"}}), "/items/type");
    both(
        json!({"anyOf": [{"type": "null"}]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "/anyOf/0",
    );
    both(json!({"allOf": [{"type": "null"}]}), json!({}), "/allOf/0");
    let extra = |schema: Value| json!({"type": "object", "additionalProperties": schema});
    both(extra(json!({"type": "integer"})), extra(json!({"type": "number"})), "/additionalProperties/type");

    check_schema(json!({"type": "string"}), json!({"type": "integer"}), "/type", Breaking, Breaking);
    check_schema(json!({"pattern": "a"}), json!({"pattern": "b"}), "/pattern", Breaking, Breaking);
    check_schema(json!({"default": 1}), json!({"default": 2}), "/default", Breaking, Cosmetic);
    check_schema(json!({}), json!({"default": 2}), "/default", Cosmetic, Cosmetic);
    check_schema(json!({"not": {}}), json!({}), "/not", Breaking, Breaking);
    check_schema(json!({"x-order": 1}), json!({}), "/x-order", Cosmetic, Cosmetic);
}

#[test]
fn references_are_followed() {
    let schema = |kind: &str| {
        json!({"inputSchema": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"type": kind, "items": {"$ref": "#/$defs/A"}}}}})
    };
    check(schema("string"), schema("string"), &[]);
    let found = changes(&surface(tool(schema("integer"))), &surface(tool(schema("number"))));
    assert_eq!(found[0].pointer, "/inputSchema/properties/a/type");
    assert_eq!(found[0].class, Additive);
}

#[test]
fn definitions_in_circles_are_compared_once() {
    let tree = |kind: &str| {
        let node = json!({"$ref": "#/$defs/Node"});
        let members = json!({"left": node, "right": node, "of": {"type": kind}});
        json!({"inputSchema": {"type": "object", "properties": {"a": node, "b": node},
            "$defs": {"Node": {"type": "object", "properties": members}}}})
    };
    let of = "/inputSchema/properties/a/properties/of/type";
    check(tree("integer"), tree("number"), &[(Additive, of)]);
    let whole =
        |kind: &str| json!({"inputSchema": {"properties": {"a": {"$ref": "#"}, "b": {"type": kind}}}});
    check(whole("integer"), whole("number"), &[(Additive, "/inputSchema/properties/b/type")]);
    let ring = |names: &[&str]| {
        let next =
            |i: usize| json!({"anyOf": [{"$ref": format!("#/$defs/{}", names[(i + 1) % names.len()])}]});
        let defs: serde_json::Map<_, _> =
            names.iter().enumerate().map(|(i, name)| ((*name).to_owned(), next(i))).collect();
        json!({"inputSchema": {"$ref": format!("#/$defs/{}", names[0]), "$defs": defs}})
    };
    check(ring(&["a", "b"]), ring(&["c", "d", "e"]), &[]);
    check(ring(&["a"]), ring(&["a", "b"]), &[]);
}

#[test]
fn what_stands_beside_a_reference_counts() {
    let schema = |member: Value| json!({"inputSchema": {"properties": {"a": member}, "$defs": {"A": {"type": "string", "title": "A"}}}});
    let check = |old: Value, new: Value, expected: &[(Class, &str)]| {
        let expected: Vec<_> =
            expected.iter().map(|(class, at)| (*class, format!("/inputSchema/properties/a{at}"))).collect();
        let expected: Vec<_> = expected.iter().map(|(class, at)| (*class, at.as_str())).collect();
        check(schema(old), schema(new), &expected);
    };
    let a = |rest: Value| {
        let mut all = json!({"$ref": "#/$defs/A"});
        all.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        all
    };
    check(a(json!({"default": "x"})), a(json!({"default": "y"})), &[(Breaking, "/default")]);
    check(a(json!({})), a(json!({"enum": ["x"]})), &[(Breaking, "/enum")]);
    check(a(json!({"minLength": 2})), a(json!({})), &[(Additive, "/minLength")]);
    check(a(json!({"description": "x"})), a(json!({})), &[(Cosmetic, "/description")]);
    // The same, written out, and as earlier drafts had it, where nothing counts beside a reference.
    check(a(json!({})), json!({"type": "string", "title": "A"}), &[]);
    check(json!({"type": "string", "default": "x", "title": "A"}), a(json!({"default": "x"})), &[]);
    check(json!({"allOf": [a(json!({}))], "default": "x"}), a(json!({"default": "x"})), &[]);
    check(json!({"type": "integer", "title": "A"}), a(json!({})), &[(Breaking, "/type")]);
    check(
        json!({"maxLength": 9, "type": "string", "title": "A"}),
        a(json!({"maxLength": 8})),
        &[(Breaking, "/maxLength")],
    );
    // What is said twice is on the safe side.
    check(
        json!({"title": "A", "type": "string"}),
        a(json!({"type": ["string", "null"]})),
        &[(Breaking, "/type"), (Additive, "/type")],
    );
}

#[test]
fn a_reference_that_leads_nowhere_is_compared_as_it_stands() {
    let check_tool = check;
    let check = |old: &str, new: &str, expected: Option<Class>| {
        let expected: Vec<_> = expected.map(|class| (class, "/$ref")).into_iter().collect();
        let of = |reference: &str| json!({"$ref": reference});
        for (class, at) in &expected {
            check_schema(of(old), of(new), at, *class, *class);
        }
        if expected.is_empty() {
            check_tool(json!({"inputSchema": of(old)}), json!({"inputSchema": of(new)}), &[]);
        }
    };
    check("https://a.example/1", "https://a.example/2", Some(Breaking));
    check("#one", "#two", Some(Breaking));
    check("#/$defs/gone", "#/$defs/away", Some(Breaking));
    check("https://a.example/1", "https://a.example/1", None);
    check_schema(json!({"$ref": "#/$defs/gone"}), json!({}), "/$ref", Breaking, Breaking);
    // An anchor is not followed: with other definitions it may mean another schema.
    let anchored = |kind: &str| json!({"inputSchema": {"properties": {"a": {"$ref": "#it"}}, "$defs": {"A": {"$anchor": "it", "type": kind}}}});
    check_tool(anchored("string"), anchored("integer"), &[(Breaking, "/inputSchema/properties/a/$ref")]);
    let encoded = |kind: &str| json!({"inputSchema": {"$ref": "#/definitions/A%3Cb%2B%3E", "definitions": {"A<b+>": {"type": kind}}}});
    check_tool(encoded("integer"), encoded("number"), &[(Additive, "/inputSchema/type")]);
}

#[test]
fn the_order_of_a_choice_is_nothing() {
    let choice = |order: [usize; 2], kind: &str| {
        let all = [json!({"$ref": "#/$defs/A"}), json!({"type": "null"})];
        json!({"inputSchema": {"properties": {"a": {"anyOf": order.map(|i| &all[i])}}, "$defs": {"A": {"type": kind}}}})
    };
    let at = "/inputSchema/properties/a/anyOf/1/type";
    check(choice([0, 1], "integer"), choice([1, 0], "number"), &[(Additive, at)]);
}

#[test]
fn what_cannot_be_followed_to_its_end_is_told() {
    let chain = |length: usize, last: &str, link: fn(String) -> Value| {
        let next = |i: usize| {
            if i + 1 == length { json!({"type": last}) } else { link(format!("#/$defs/{}", i + 1)) }
        };
        let defs: serde_json::Map<_, _> = (0..length).map(|i| (i.to_string(), next(i))).collect();
        json!({"inputSchema": {"$ref": "#/$defs/0", "$defs": defs}})
    };
    let within = |reference: String| json!({"items": {"$ref": reference}});
    let alone = |reference: String| json!({"$ref": reference});
    for (length, link) in [(200, within as fn(String) -> Value), (50, alone)] {
        let found = changes(
            &surface(tool(chain(length, "integer", link))),
            &surface(tool(chain(length, "number", link))),
        );
        assert_eq!((found.len(), found[0].class), (1, Breaking), "{found:?}");
        assert!(found[0].reason.contains("too deep"), "{found:?}");
        check(chain(length, "integer", link), chain(length, "integer", link), &[]);
    }
    check(chain(20, "integer", alone), chain(20, "number", alone), &[(Additive, "/inputSchema/type")]);
}

#[test]
fn required_members_that_nothing_describes() {
    let of = |names: &[&str]| json!({"required": names});
    check(
        json!({"inputSchema": of(&["a"])}),
        json!({"inputSchema": of(&[])}),
        &[(Additive, "/inputSchema/required")],
    );
    check(
        json!({"outputSchema": of(&["a"])}),
        json!({"outputSchema": of(&[])}),
        &[(Breaking, "/outputSchema/required")],
    );
    check(
        json!({"outputSchema": of(&[])}),
        json!({"outputSchema": of(&["a"])}),
        &[(Additive, "/outputSchema/required")],
    );
}

#[test]
fn things_of_one_name_are_compared_in_their_order() {
    let twice = json!({"tools": [{"name": "a", "inputSchema": {}}, {"name": "a", "inputSchema": {"type": "object"}}]});
    check_all(twice.clone(), twice.clone(), &[]);
    check_all(json!({"tools": [{"name": "a", "inputSchema": {}}]}), twice, &[(Additive, "")]);
}

#[test]
fn structured_answers_and_tasks() {
    check(json!({"outputSchema": {}}), json!({}), &[(Breaking, "/outputSchema")]);
    check(json!({}), json!({"outputSchema": {}}), &[(Additive, "/outputSchema")]);
    let task = |support: &str| json!({"execution": {"taskSupport": support}});
    check(json!({}), task("optional"), &[(Additive, "/execution/taskSupport")]);
    check(json!({}), task("required"), &[(Breaking, "/execution/taskSupport")]);
    check(task("optional"), json!({}), &[(Breaking, "/execution/taskSupport")]);
}

#[test]
fn prompts_and_resources() {
    let prompt = |arguments: Value| json!({"prompts": [{"name": "p", "arguments": arguments}]});
    check_all(prompt(json!([])), prompt(json!([{"name": "a"}])), &[(Additive, "/arguments/0")]);
    check_all(
        prompt(json!([])),
        prompt(json!([{"name": "a", "required": true}])),
        &[(Breaking, "/arguments/0")],
    );
    check_all(prompt(json!([{"name": "a"}])), prompt(json!([])), &[(Breaking, "/arguments/0")]);
    let resource = |kind: &str| json!({"resources": [{"uri": "a:1", "name": "a", "mimeType": kind}]});
    check_all(resource("text/plain"), resource("text/html"), &[(Breaking, "/mimeType")]);
    check_all(resource("text/plain"), json!({"resources": []}), &[(Breaking, "")]);
    check_all(resource("text/plain"), json!({"tools": []}), &[]);
}

#[test]
fn lists_are_read_from_recordings_and_refused_elsewhere() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-fixtures");
    let read = |name: &str| Surface::parse(&std::fs::read_to_string(folder.join(name)).unwrap());
    let modern = read("transcripts/http-full-connect.jsonl").unwrap();
    let legacy = read("transcripts/http-full-legacy-restart.jsonl").unwrap();
    assert_eq!(modern.tools.as_ref().map(Vec::len), Some(19));
    assert_eq!(changes(&modern, &legacy), []);
    assert_eq!(read("tools/get_ticket.json").unwrap().tools.map(|tools| tools.len()), Some(1));
    let error = read("transcripts/oauth/store.json").unwrap_err();
    assert!(error.public.contains("holds no tools"), "{error}");
}
