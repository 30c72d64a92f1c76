//! The rows of signing in and of the attacks on the grant: the sentence, where it stands, how much it weighs.

use crate::conformance::{Check, Level, Lifespan, Source, differs, same};

const RESOURCE_DISCOVERY: Source = differs(
    "basic/authorization#protected-resource-metadata-discovery-requirements",
    "basic/authorization/authorization-server-discovery#protected-resource-metadata-discovery-requirements",
);
const SERVER_LOCATION: Source = differs(
    "basic/authorization#authorization-server-location",
    "basic/authorization/authorization-server-discovery#authorization-server-location",
);
const CODE_PROTECTION: Source = differs(
    "basic/authorization#authorization-code-protection",
    "basic/authorization/security-considerations#authorization-code-protection",
);
const COMMUNICATION: Source = differs(
    "basic/authorization#communication-security",
    "basic/authorization/security-considerations#communication-security",
);
const OPEN_REDIRECTION: Source = differs(
    "basic/authorization#open-redirection",
    "basic/authorization/security-considerations#open-redirection",
);
const AUDIENCE: Source = differs(
    "basic/authorization#token-audience-binding-and-validation",
    "basic/authorization/security-considerations#token-audience-binding-and-validation",
);
const THEFT: Source =
    differs("basic/authorization#token-theft", "basic/authorization/security-considerations#token-theft");
const HANDLING: Source = same("basic/authorization#token-handling");
const ERRORS: Source = same("basic/authorization#error-handling");
const BEARER: Source = same("https://www.rfc-editor.org/rfc/rfc6750#section-3");
const OAUTH_CODE: Source =
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.3");
const OAUTH_ERRORS: Source =
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.4");
const OAUTH_ANSWER: Source =
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.3");
const OAUTH_NO_IMPLICIT: Source =
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-10.1");
const OAUTH_REDIRECT: Source = same("https://www.rfc-editor.org/rfc/rfc9700#section-2.1");
const REGISTRATION: Source = same("https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1");
const REGISTRATION_ERROR: Source = same("https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2");
const REVOCATION: Source = same("https://www.rfc-editor.org/rfc/rfc7009#section-2");

/// The rows, in the order they are come to: a rule each, of no revision, over HTTP.
macro_rules! rules {
    ($( $id:literal, $title:literal, $level:ident, $source:expr, $says:literal; )+) => {
        /// The rules of signing in and of what is granted.
        pub const CHECKS: &[Check] = &[ $( Check {
            id: $id,
            title: $title,
            applies: Lifespan::ONCE.http(),
            level: Level::$level,
            says: $says,
            source: $source,
            scenarios: &[],
        }, )+ ];
    };
}

rules! {
    "auth.challenge-401", "a request without a token", Must, ERRORS,
    "A request without a token to a server that wants one is answered with 401.";
    "auth.challenge-bearer", "401 carries a challenge", Must, BEARER,
    "An answer 401 has a field WWW-Authenticate that names the scheme Bearer.";
    "auth.challenge-metadata", "the challenge leads to the resource's document", Should, RESOURCE_DISCOVERY,
    "The challenge names the document of the resource in resource_metadata; a server that leaves it out must have the \
     document at a well-known path.";
    "auth.resource-document", "the resource has a document", Must, RESOURCE_DISCOVERY,
    "The document of the resource (RFC 9728) is where the challenge says, or at its well-known path.";
    "auth.resource-identity", "the document is about this URL", Must,
    same("https://www.rfc-editor.org/rfc/rfc9728#section-3.3"),
    "The resource that the document names is the URL that was asked for, else clients must not use the document.";
    "auth.resource-servers", "the document names an authorization server", Must, SERVER_LOCATION,
    "The document of the resource lists at least one authorization server.";
    "auth.resource-bearer-methods", "no tokens in URLs are offered", Must,
    same("basic/authorization#token-requirements"),
    "The document does not offer to take tokens from the query of a URL.";
    "auth.server-document", "the authorization server has a document", Must,
    same("https://www.rfc-editor.org/rfc/rfc8414#section-3"),
    "The authorization server publishes its endpoints at a well-known path, as OAuth or as OpenID Connect has it.";
    "auth.server-issuer", "the document is of this issuer", Must,
    same("https://www.rfc-editor.org/rfc/rfc8414#section-3.3"),
    "The issuer in the document is, to the letter, the one that the resource named.";
    "auth.server-s256", "PKCE with S256 is said to be there", Must, CODE_PROTECTION,
    "The document lists S256 in code_challenge_methods_supported, for clients refuse to go on without it.";
    "auth.server-https", "endpoints are private on the way", Must, COMMUNICATION,
    "The endpoints of the authorization server are https URLs, or on this machine.";
    "auth.server-no-implicit", "no implicit grant is offered", Should, OAUTH_NO_IMPLICIT,
    "The authorization server does not offer to return tokens from the authorization endpoint: OAuth 2.1 has left it out.";
    "auth.register-answer", "a client can register", Should, REGISTRATION,
    "A registration is answered with 201, a client_id and what was registered.";
    "auth.register-no-store", "the answer to a registration is not kept", Should, REGISTRATION,
    "The answer to a registration, which may hold a secret, has Cache-Control: no-store.";
    "auth.return-state", "state comes back", Must,
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2"),
    "The answer of the authorization endpoint carries state once, exactly as the client sent it.";
    "auth.return-iss", "iss comes back", Must, same("https://www.rfc-editor.org/rfc/rfc9207#section-2"),
    "A server that promises iss returns its issuer in it, so that answers of two servers cannot be mixed up.";
    "auth.token-answer", "tokens come in the form of the standard", Must, OAUTH_ANSWER,
    "A good request is answered with 200, JSON, an access_token, token_type Bearer and, if it is said, a number of \
     seconds in expires_in.";
    "auth.token-no-store", "tokens are not kept on the way", Must, OAUTH_ANSWER,
    "An answer with tokens has Cache-Control: no-store.";
    "auth.token-scope", "no more is granted than was asked for", Must, OAUTH_ANSWER,
    "Where the scope granted differs from the one asked for, the answer says so.";
    "auth.token-accepted", "the token opens the endpoint", Must, HANDLING,
    "A token that was given for this resource is taken there.";
    "auth.token-invalid", "a made-up token", Must, HANDLING,
    "A token that the server did not give is answered with 401.";
    "auth.token-invalid-error", "a refused token is called so", Should,
    same("https://www.rfc-editor.org/rfc/rfc6750#section-3.1"),
    "The challenge to a token that does not hold has error=\"invalid_token\".";
    "auth.token-refresh-as-access", "a refresh token opens nothing", Must, HANDLING,
    "A refresh token shown at the resource is answered with 401: it is for the authorization server alone.";
    "auth.token-in-query", "a token in the URL", Must, same("basic/authorization#token-requirements"),
    "A token in the query of the URL, where logs keep it, is not taken.";
    "auth.token-audience", "a token is for one resource", Must, AUDIENCE,
    "A token for one resource is refused at the other resources of the server.";
    "auth.scope-challenge", "too little scope is said so", Should,
    same("basic/authorization#runtime-insufficient-scope-errors"),
    "Where the scope of a token does not suffice, the answer is 403 with error=\"insufficient_scope\" and the scope \
     that is needed.";
    "auth.register-redirect-http", "no redirect over plain http", Must, COMMUNICATION,
    "Nobody can register a redirect URI with http to another machine.";
    "auth.register-redirect-fragment", "no redirect with a fragment", Must,
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3"),
    "Nobody can register a redirect URI with a fragment.";
    "auth.register-redirect-script", "no redirect to a script", Must, COMMUNICATION,
    "Nobody can register a redirect URI that a browser would run, such as javascript:.";
    "auth.register-error", "a refused registration is called so", Should, REGISTRATION_ERROR,
    "What cannot be registered is answered with 400 and invalid_redirect_uri or invalid_client_metadata.";
    "auth.redirect-host", "a redirect to another host", Must, OPEN_REDIRECTION,
    "A request with a redirect URI on a host that was not registered is shown a page and sent nowhere.";
    "auth.redirect-userinfo", "a redirect behind a user name", Must, OPEN_REDIRECTION,
    "A registered URI as the user name of another host is another URI: a page, and no redirect.";
    "auth.redirect-scheme", "a redirect with another scheme", Must, OAUTH_REDIRECT,
    "A redirect URI that differs from the registered one in its scheme is shown a page and sent nowhere.";
    "auth.redirect-path", "a redirect below the registered path", Must, OAUTH_REDIRECT,
    "A redirect URI that begins with the registered one and goes on is another one: redirect URIs are compared as text.";
    "auth.redirect-dots", "a redirect with dot segments", Must, OAUTH_REDIRECT,
    "A redirect URI that a browser resolves to another path is shown a page and sent nowhere.";
    "auth.redirect-query", "a redirect with more query", Must, OAUTH_REDIRECT,
    "A redirect URI with a parameter that was not registered is shown a page and sent nowhere.";
    "auth.redirect-fragment", "a redirect with a fragment", Must, OAUTH_REDIRECT,
    "A redirect URI with a fragment is shown a page, and no code is made for it.";
    "auth.redirect-port", "a redirect to another port", Must, OAUTH_REDIRECT,
    "Only on the person's own machine is the port free; elsewhere another port is another redirect URI.";
    "auth.authorize-unknown-client", "a client that nobody knows", Must,
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2.1"),
    "A request of a client that is not registered is shown a page and never redirected.";
    "auth.authorize-plain", "PKCE without a hash", Should, CODE_PROTECTION,
    "The method plain, which shows the verifier to whoever sees the request, gets no code.";
    "auth.authorize-no-challenge", "a request without PKCE", Must,
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-7.5.1"),
    "A public client that sends no code_challenge gets no code.";
    "auth.authorize-implicit", "a token from the authorization endpoint", Should, OAUTH_NO_IMPLICIT,
    "response_type=token gets no token: OAuth 2.1 has left it out.";
    "auth.token-grant-type", "a grant type that is none", Should, OAUTH_ERRORS,
    "A grant type that the server does not know is answered with 400 unsupported_grant_type.";
    "auth.token-error", "refusals of the token endpoint", Must, OAUTH_ERRORS,
    "What the token endpoint refuses is answered with 400, or 401 for a client that is not known, and JSON with error.";
    "auth.code-unknown", "a made-up code", Must, OAUTH_ERRORS,
    "A code that the server did not give is answered with 400 invalid_grant.";
    "auth.code-wrong-verifier", "a code with a wrong verifier", Must,
    same("https://www.rfc-editor.org/rfc/rfc7636#section-4.6"),
    "A code is not redeemed with a verifier that is not the one of its challenge.";
    "auth.code-no-verifier", "a code without its verifier", Must, OAUTH_CODE,
    "A code that was asked for with a challenge is not redeemed without a verifier.";
    "auth.code-other-client", "a code of another client", Must, OAUTH_CODE,
    "A code is redeemed for nobody but the client that it was given to.";
    "auth.code-wrong-redirect", "a code with another redirect URI", Should,
    same("https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-10.2"),
    "Where the client sends the redirect URI with the code, it is the one that the code was asked for with.";
    "auth.code-wrong-resource", "a code for another resource", Should,
    same("https://www.rfc-editor.org/rfc/rfc8707#section-2.2"),
    "Tokens that are asked for another resource than the person allowed are refused, or at least not taken here.";
    "auth.code-replay", "a code redeemed twice", Must, OAUTH_CODE,
    "A code that was redeemed is refused the second time.";
    "auth.code-replay-ends-grant", "a code redeemed twice ends its grant", Should, OAUTH_CODE,
    "Where a code comes twice, somebody has copied it: the tokens of the first redemption end.";
    "auth.refresh-rotated", "refresh tokens are rotated", Must, THEFT,
    "A public client gets a new refresh token in exchange for each.";
    "auth.refresh-replay", "a refresh token from before", Must,
    same("https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2"),
    "A refresh token two rotations old is refused. (That of the rotation before may serve for a short while, for \
     answers get lost.)";
    "auth.refresh-replay-ends-grant", "a refresh token from before ends its grant", Should,
    same("https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2"),
    "Where an old refresh token comes again, nobody knows who copied it: the newest one ends.";
    "auth.revoke-unknown", "revoking what is no token", Should,
    same("https://www.rfc-editor.org/rfc/rfc7009#section-2.2"),
    "The revocation of a token that is none is answered with 200.";
    "auth.revoke-access", "a revoked access token", Should, REVOCATION,
    "An access token that its client revoked is refused at the resource at once.";
    "auth.revoke-refresh", "a revoked refresh token", Must, REVOCATION,
    "A refresh token that its client revoked is refused.";
    "auth.revoke-refresh-ends-access", "a revoked refresh token ends its access token", Should,
    same("https://www.rfc-editor.org/rfc/rfc7009#section-2.1"),
    "With a refresh token that is revoked end the access tokens of its grant.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::page;
    use crate::protocol::revision::Revision;

    #[test]
    fn rows_are_of_one_family_and_say_where_they_come_from() {
        let mut seen = std::collections::BTreeSet::new();
        for check in CHECKS {
            assert!(seen.insert(check.id) && check.id.starts_with("auth."), "{}", check.id);
            assert!(
                check.says.trim_end_matches(')').ends_with('.') && !check.title.ends_with('.'),
                "{}",
                check.id
            );
            for revision in [Revision::MODERN, Revision::LAST_LEGACY] {
                assert!(page(check.source, revision).starts_with("https://"), "{}", check.id);
            }
        }
    }
}
