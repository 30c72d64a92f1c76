use super::*;
use serde_json::json;

#[test]
fn every_secret_that_we_make_is_known_by_its_prefix() {
    for purpose in crate::access::signed::Purpose::ALL {
        let prefix = format!("{}_", purpose.label());
        assert!(PREFIXES.iter().any(|(known, _)| *known == prefix), "{prefix}");
    }
}

#[test]
fn takes_secrets_out_of_texts() {
    let check = |text: &str, expected: &str| assert_eq!(Redactor::default().text(text), expected, "{text}");
    check("the key cha_0123456789abcdef.", "the key [key-1].");
    check("sk_live_abcdefgh1 ghp_abcdefgh2 AKIAIOSFODNN7EXAMPLE", "[key-1] [token-1] [key-2]");
    check("cha_0123456789 mat_0123456789 cha_0123456789", "[key-1] [token-1] [key-1]");
    check("Authorization: Bearer abcdefgh123", "Authorization: Bearer [token-1]");
    check("bearer of news", "bearer of news");
    let challenge = r#"Bearer resource_metadata="https://chat.example/x", error="invalid_token""#;
    check(challenge, challenge);
    check(r#""Bearer resource_metadata2=""#, r#""Bearer [token-1]=""#);
    check("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl y", "x [token-1] y");
    check("write to anna.b+c@shop.example, or bob@x.de", "write to [email-1], or [email-2]");
    check("@scope/name@1.2.3 and user@localhost", "@scope/name@1.2.3 and user@localhost");
    check("format_string cha_short chat_history", "format_string cha_short chat_history");
    check("Größe – 12 €\n", "Größe – 12 €\n");
    check("{'mail': 'ann@shop.example'}, ann@shop.example", "{'mail': '[email-1]'}, [email-1]");
    check("call +49 30 1234567 or (212) 555-1234.", "call [phone-1] or [phone-2].");
    check("cha_0123456789 +49 30 1234567 cha_0123456789", "[key-1] [phone-1] [key-1]");
    check("", "");
    check("AIzaSyA1b2C3d4E5f6 hf_AbCdEf123456 npm_a1b2c3d4e5f6g7", "[key-1] [token-1] [token-2]");
    check("npm_config_registry hf_transfer SG.x", "npm_config_registry hf_transfer SG.x");
    check("postgres://u:s3cr3tpw@db/x http://a:8080/u@b", "postgres://u:[password-1]@db/x http://a:8080/u@b");
    check("\"https://a:b@c:d@e.example\"", "\"https://a:[password-1]@e.example\"");
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----";
    check(&format!("a {pem} b {pem}"), "a [key-1] b [key-1]");
    check("x -----BEGIN PRIVATE KEY-----\nMIIB", "x [key-1]");
    check("-----BEGIN CERTIFICATE-----\nMIIB", "-----BEGIN CERTIFICATE-----\nMIIB");
}

#[test]
fn takes_secrets_out_of_json_and_leaves_the_rest_as_it_is() {
    let check = |body: Value, expected: Value| {
        assert_eq!(Redactor::default().message(body.to_string().as_bytes(), false), Some(expected));
    };
    check(
        json!({"jsonrpc": "2.0", "id": 1, "result": {"code": "A-1", "n": 1.5, "mail": ["a@b.example"]}}),
        json!({"jsonrpc": "2.0", "id": 1, "result": {"code": "A-1", "n": 1.5, "mail": ["[email-1]"]}}),
    );
    check(
        json!({"access_token": "x", "token_type": "Bearer", "expires_in": 3600, "code": "y"}),
        json!({"access_token": "[secret-1]", "token_type": "Bearer", "expires_in": 3600, "code": "[secret-2]"}),
    );
    check(
        json!({"jsonrpc": "2.0", "Api-Key": "z", "a@b.example": 1}),
        json!({"jsonrpc": "2.0", "Api-Key": "[secret-1]", "[email-1]": 1}),
    );
}

/// The value of `name` in a message, before and after.
fn check_member(name: &str, text: &str, expected: &str) {
    let body = |text: &str| json!({"jsonrpc": "2.0", "id": 1, "result": {name: [text]}});
    let redacted = Redactor::default().message(body(text).to_string().as_bytes(), false);
    assert_eq!(redacted, Some(body(expected)), "{name}: {text}");
    // And the same in a text that holds it as JSON.
    let inside = |text: &str| json!({"jsonrpc": "2.0", "text": format!(" {}", body(text))});
    let redacted = Redactor::default().message(inside(text).to_string().as_bytes(), false);
    assert_eq!(redacted, Some(inside(expected)), "{name}: {text}");
}

#[test]
fn phone_numbers_are_taken_out_of_messages() {
    for (name, text) in [
        ("phone", "+49 30 1234567"),
        ("phone", "1711234567"),
        ("phone_number", "5551234"),
        ("customerPhone", "612345678"),
        ("Tel", "030/12345"),
        ("mobile_number", "0612345678"),
        ("contact", "0171-1234567"),
        ("number", "+14155552671"),
        ("id", "+14155552671"),
        ("text", "212-555-1234"),
        ("order_number", "(212) 555-1234"),
    ] {
        check_member(name, text, "[phone-1]");
    }
    check_member(
        "text",
        "first\nline\n0171 1234567\n\"ann@x.example\"",
        "first\nline\n[phone-1]\n\"[email-1]\"",
    );
    check_member("data", "tel: +49 30 1234567", "tel: [phone-1]");
    let kept = json!({"jsonrpc": "2.0", "phone": "5551234", "text": "+49 30 1234567 ann@x.example"});
    assert_eq!(Redactor::new(true).message(kept.to_string().as_bytes(), false), Some(kept));
}

#[test]
fn what_is_no_phone_number_stays() {
    let blob = format!("{}+12345678/{}", "ab/1".repeat(80), "9".repeat(80));
    for (name, text) in [
        ("id", "0612345678"),
        ("text", "00491711234567"),
        ("value", "0171123456"),
        ("order_number", "200-300-4000"),
        ("orderId", "0171-1234567"),
        ("sku", "0171-1234567"),
        ("SKU", "212-555-1234"),
        ("ean", "4006381333931"),
        ("text", "order 4500012345678, #100234567, INV-0171-1234567"),
        ("text", "€ 1.234.567,89 or 1 234 567 890 or 0.0612345678"),
        ("text", "2026-11-22T08:00:00.123456789Z"),
        ("text", "2026-11-22 08:00:00.123456789 UTC"),
        ("text", "1763800000 1763800000000 20261122"),
        ("phone_verified_at", "2026-11-22"),
        ("text", "550e8400-e29b-41d4-a716-446655440000 01234567-0123-4123-8123-012345678901"),
        ("text", "d41d8cd98f00b204e9800998ecf8427e 01234567890123456789012345678901"),
        ("text", "https://shop.example/orders/0612345678 chaterimo://orders/0171-1234567"),
        ("text", "192.168.100.200 react@18.3.0-rc.1"),
        ("blob", blob.as_str()),
        ("nextCursor", "0171-1234567"),
    ] {
        check_member(name, text, text);
    }
    let check = |path: &str| assert_eq!(Redactor::default().path(path), path);
    check("/orders/0171-1234567?id=0612345678&phone=0171-1234567");
    let numbers = json!({"jsonrpc": "2.0", "id": 612345678, "at": 1_763_800_000_000_u64, "n": [171_123_456]});
    assert_eq!(Redactor::default().message(numbers.to_string().as_bytes(), false), Some(numbers));
}

#[test]
fn json_in_a_text_stays_the_json_it_was() {
    let check = |text: &str, expected: &str| {
        let body = |text: &str| json!({"jsonrpc": "2.0", "text": text});
        let redacted = Redactor::default().message(body(text).to_string().as_bytes(), false);
        assert_eq!(redacted, Some(body(expected)), "{text}");
    };
    check(r#"{ "a" : 1.50, "m": "x\nann@x.example" }"#, r#"{ "a" : 1.50, "m": "x\n[email-1]" }"#);
    check(r#"["\"0171 1234567\\", "\u00e4"]"#, r#"["\"[phone-1]\\", "\u00e4"]"#);
    check(r#"{"password": "x", "b": "y"}"#, r#"{"password": "[secret-1]", "b": "y"}"#);
    check(r#"{"a": "{\"b\": \"\\nann@x.example\"}"}"#, r#"{"a": "{\"b\": \"\\n[email-1]\"}"}"#);
    check(r#"{"ann@x.example": 1"#, r#"{"[email-1]": 1"#);
    check(
        r#"{"a": "cut \ud83d", "password": "x", "ann@x.example": 1}"#,
        r#"{"a": "cut \ud83d", "password": "[secret-1]", "[email-1]": 1}"#,
    );
}

#[test]
fn what_is_called_a_key_or_a_token_is_one_if_it_looks_it() {
    let check = |name: &str, text: &str, stays: bool| {
        let body = json!({"jsonrpc": "2.0", "params": {name: text}});
        let redacted = Redactor::default().message(body.to_string().as_bytes(), false).unwrap();
        assert_eq!(redacted == body, stays, "{name}: {text}");
    };
    check("github_token", "a9f8e7d6c5b4a3f2e1d0", false);
    check("stripeKey", "live0abcdefgh1234", false);
    check("sort_key", "created_at", true);
    check("key", "SKU-1", true);
    check("progressToken", "a9f8e7d6c5b4a3f2e1d0", true);
}

proptest::proptest! {
    #[test]
    fn what_programs_write_stays(
        uuid in "[0-9]{8}-[0-9]{4}-4[0-9]{3}-8[0-9]{3}-[0-9]{12}",
        hex in "[0-9a-f]{40}",
        time in "20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][012][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?",
        price in "[0-9]{1,3}(,[0-9]{3}){0,2}\\.[0-9]{2}",
        id in "[A-Z]{2,3}-[0-9]{3,5}-[0-9]{3,8}",
    ) {
        for text in [&uuid, &hex, &time, &price, &id] {
            let sentence = format!("see {text}, and go on");
            proptest::prop_assert_eq!(Redactor::default().text(&sentence), sentence);
        }
    }
}

#[test]
fn what_is_not_json_is_a_text() {
    let check = |body: &[u8], is_form: bool, expected: Option<&str>| {
        assert_eq!(Redactor::default().message(body, is_form), expected.map(Value::from));
    };
    check(b"", false, None);
    check(b"<p>cha_0123456789</p>", false, Some("<p>[key-1]</p>"));
    check(
        b"grant_type=authorization_code&code=abc&client_id=x",
        true,
        Some("grant_type=authorization_code&code=[secret-1]&client_id=x"),
    );
    check(b"\xff\xfe", false, Some("[2 bytes]"));
    check(&[b'x'; MAX_TEXT + 1], false, Some("[65537 bytes]"));
}

#[test]
fn takes_secrets_out_of_paths() {
    let check = |path: &str, expected: &str| assert_eq!(Redactor::default().path(path), expected);
    check("/mcp/", "/mcp/");
    check("/mcp/t/abcdefghijkl/", "/mcp/t/[token-1]/");
    check(
        "/authorize?client_id=a&state=b&code_challenge=c",
        "/authorize?client_id=a&state=[secret-1]&code_challenge=c",
    );
    check("/callback?code=abc&iss=https://x.example", "/callback?code=[secret-1]&iss=https://x.example");
}

#[test]
fn keys_in_queries_are_known_by_their_names() {
    let check = |path: &str, expected: &str| assert_eq!(Redactor::default().path(path), expected);
    for name in ["key", "apikey", "api_key", "X-API-Key", "sig", "authToken", "auth", "pwd"] {
        check(&format!("/mcp?a=1&{name}=verysecret123"), &format!("/mcp?a=1&{name}=[secret-1]"));
    }
    let kept = "/mcp?keyword=verysecret123&token_type_hint=refresh_token&toolset=products&key=";
    check(kept, kept);
    // Under a name that means a column or the like, what looks like one.
    let kept = "/mcp?sort_key=created_at&sortKey=created_at%2Cdesc&primary-key=id_2&db.partitionKey=de";
    check(kept, kept);
    check("/mcp?sort_key=a9f8e7d6c5b4", "/mcp?sort_key=[secret-1]");
    for pair in [
        "key=abc",
        "api-key=abc",
        "accessKey=abc",
        "x_token=abc",
        "client_secret=abc",
        "sig=abc",
        "auth=a",
        "passkey=correcthorse",
        "service_key=123456789012",
        "encryptionKey=hunter2",
        "orange_key=hunter2",
    ] {
        let name = pair.split('=').next().unwrap();
        check(&format!("/mcp?{pair}"), &format!("/mcp?{name}=[secret-1]"));
    }
    let form = b"token_type_hint=refresh_token&apikey=verysecret123";
    let redacted = Redactor::default().message(form, true);
    assert_eq!(redacted, Some("token_type_hint=refresh_token&apikey=[secret-1]".into()));
}

#[test]
fn a_secret_is_known_percent_encoded_and_decoded() {
    let check = |learn: fn(&mut Redactor), text: &str, expected: &str| {
        let mut redactor = Redactor::default();
        learn(&mut redactor);
        assert_eq!(redactor.text(text), expected, "{text}");
    };
    let in_a_query = |redactor: &mut Redactor| {
        assert_eq!(redactor.path("/mcp?api_key=ab%2Fcd%2Bef%3D%3D"), "/mcp?api_key=[secret-1]");
    };
    check(in_a_query, "is ab/cd+ef== or ab%2fcd%2bef%3d%3d", "is [secret-1] or [secret-1]");
    // It is decoded once.
    check(in_a_query, "is ab%252Fcd", "is ab%252Fcd");
    let in_a_header = |redactor: &mut Redactor| redactor.learn_field("ab/cd+ef==");
    check(in_a_header, "at /x?u=ab%2Fcd%2Bef%3D%3D&v=1", "at /x?u=[header-1]&v=1");
    check(in_a_header, "at /x?u=ab%2fcd%2bef%3d%3d", "at /x?u=[header-1]");
    let in_a_field = |redactor: &mut Redactor| redactor.learn_field("(ab)~'cd/ef");
    check(in_a_field, "(ab)~'cd%2Fef %28ab%29%7E%27cd%2Fef", "[header-1] [header-1]");
    let in_a_url = |redactor: &mut Redactor| redactor.learn_url("https://a.example/?u=x1%26y2%3Dz3");
    check(in_a_url, "x1&y2=z3", "[url-1]");
}

#[test]
fn what_may_be_a_key_in_the_servers_url_is_known_everywhere() {
    let check = |url: &str, text: &str, expected: &str| {
        let mut redactor = Redactor::default();
        redactor.learn_url(url);
        assert_eq!(redactor.text(text), expected, "{url}");
    };
    check("https://a.example/mcp?u=verysecret123", "you are verysecret123", "you are [url-1]");
    check("https://a.example/mcp?u=verysecretandverylong", "verysecretandverylong", "[url-1]");
    check("https://a.example?u=a%2Fb&key=verysecret", "verysecret", "[secret-1]");
    check("https://anna:verysecret@a.example/mcp", "anna:verysecret", "[url-1]");
    check("https://a.example/mcp/t/verysecret123/", "verysecret123", "[token-1]");
    let words = "products of 2025-11-25, 12345678";
    check("https://a.example/?set=products&version=2025-11-25&shop=12345678", words, words);
}

#[test]
fn fields_of_any_name_that_carry_a_key_are_known() {
    let mut redactor = Redactor::default();
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_static("verysecret123"));
    headers.insert("x-auth-token", HeaderValue::from_static("Key othersecret456"));
    headers.insert("user-agent", HeaderValue::from_static("products/1.2.3456"));
    redactor.learn_keys(&headers);
    let text = redactor.text("verysecret123 othersecret456 products/1.2.3456");
    assert_eq!(text, "[header-1] [header-2] products/1.2.3456");
}

#[test]
fn what_headers_hold_is_known_everywhere() {
    let mut redactor = Redactor::default();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret/with+odd=chars"));
    headers.insert(COOKIE, HeaderValue::from_static("a=short; session=0123456789"));
    redactor.learn_headers(&headers);
    assert_eq!(redactor.text("s3cret/with+odd=chars, 0123456789"), "[token-1], [cookie-1]");
}
