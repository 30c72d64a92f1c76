//! The token endpoint and the revocation endpoint (OAuth 2.1, section 3.2; RFC 7009).

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};

use super::super::form::Form;
use super::super::request::is_of_type;
use super::super::respond::{self, Answer, Refusal};
use super::super::visit::Asked;
use super::fault;
use crate::error::Error;
use crate::oauth::client::Presented;
use crate::oauth::params::Params;
use crate::oauth::{Client, Fault, token};

/// Tokens for a code or for a refresh token.
pub(in super::super) fn issue(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    answer(asked, |client, form| {
        let tokens = asked.site.oauth.tokens(client, form)?;
        let body = serde_json::to_string(&tokens).map_err(Error::internal)?;
        Ok(respond::json(StatusCode::OK, body))
    })
}

/// The end of a token. 200 with nothing to say, also for a token that is none.
pub(in super::super) fn revoke(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    answer(asked, |client, form| {
        asked.site.oauth.revoke(client, form)?;
        Ok(respond::json(StatusCode::OK, "{}"))
    })
}

fn answer(
    asked: &Asked<'_>,
    done: impl FnOnce(&Client, &Params) -> Result<Answer, Fault>,
) -> Result<Answer, Refusal> {
    let outcome = read(asked).and_then(|form| {
        let presented = presented(asked, &form)?;
        asked.site.oauth.admit_request(&presented, &form, asked.address)?;
        let client = asked.site.oauth.authenticate(&presented)?;
        done(&client, &form)
    });
    let mut answer = outcome.unwrap_or_else(|wrong| refused(asked, &wrong));
    answer.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

fn read(asked: &Asked<'_>) -> Result<Params, Fault> {
    if !is_of_type(&asked.parts.headers, "application/x-www-form-urlencoded") {
        return Err(Fault::invalid_request("Send the request as application/x-www-form-urlencoded."));
    }
    Params::new(Form::parse(&asked.body).pairs().to_vec())
}

fn presented<'a>(asked: &'a Asked<'_>, form: &'a Params) -> Result<Presented<'a>, Fault> {
    let mut fields = asked.parts.headers.get_all(AUTHORIZATION).iter();
    let (field, more) = (fields.next(), fields.next());
    if more.is_some() {
        return Err(Fault::invalid_request("There are two Authorization fields."));
    }
    // What is no text is no credential that we know, but it is one that was tried.
    let authorization = field.map(|field| field.to_str().unwrap_or("?"));
    let (client_id, client_secret) = (form.get("client_id"), form.get("client_secret"));
    Ok(Presented { authorization, client_id, client_secret })
}

fn refused(asked: &Asked<'_>, wrong: &Fault) -> Answer {
    let mut answer = fault(wrong);
    if wrong.status() == 401 && asked.parts.headers.contains_key(AUTHORIZATION) {
        let challenge = HeaderValue::from_static("Basic realm=\"chaterimo\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if wrong.status() == 429 {
        answer.headers_mut().insert(RETRY_AFTER, token::RETRY_SECONDS.into());
    }
    answer
}
