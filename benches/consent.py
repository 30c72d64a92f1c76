"""An access token, got as a client and its person get one: registration, sign-in, consent, code."""

import base64
import hashlib
import html
import http.cookiejar
import json
import re
import secrets
import urllib.parse
import urllib.request

CALLBACK = "http://127.0.0.1/callback"


class Returned(Exception):
    """The redirect back to the client; there is nobody to follow it to."""


class Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, url):
        if url.startswith(CALLBACK):
            raise Returned(url)
        return super().redirect_request(request, file, code, message, headers, url)


class Browser:
    """Follows redirects, keeps cookies, fills in forms."""

    def __init__(self):
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies, Redirects)

    def get(self, url):
        with self.opener.open(url) as answer:
            self.url, self.page = answer.url, answer.read().decode()

    def send(self, action, **fields):
        """Sends the form of the present page that posts to `action`: what it carries and has ticked, and `fields`."""
        form = next(form for form in re.findall(r"<form.*?</form>", self.page, re.S) if f'action="{action}' in form)
        inputs = [dict(re.findall(r'([a-z]+)="([^"]*)"', tag)) | {"checked": " checked" in tag}
                  for tag in re.findall(r"<input[^>]*>", form)]
        carried = [(field["name"], html.unescape(field.get("value", ""))) for field in inputs
                   if field["type"] == "hidden" or field["type"] in ("checkbox", "radio") and field["checked"]]
        body = urllib.parse.urlencode([pair for pair in carried if pair[0] not in fields] + list(fields.items())).encode()
        with self.opener.open(urllib.parse.urljoin(self.url, action), body) as answer:
            self.url, self.page = answer.url, answer.read().decode()


def access_token(origin, email, password):
    """The access token of a client that `email` allowed to read and change everything."""
    client = post(f"{origin}/register", json.dumps({
        "client_name": "bench", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }), "application/json")
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": CALLBACK, "state": "s",
             "code_challenge": challenge, "code_challenge_method": "S256", "scope": "mcp:read mcp:write",
             "resource": f"{origin}/mcp/"}
    browser = Browser()
    browser.get(f"{origin}/authorize?{urllib.parse.urlencode(asked)}")
    browser.send("/login", email=email, password=password)
    try:
        browser.send("/authorize/decision", write="1", decision="allow")
        raise RuntimeError(f"consent led to {browser.url}")
    except Returned as returned:
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(str(returned)).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "client_id": client["client_id"],
            "redirect_uri": CALLBACK, "code_verifier": verifier, "resource": f"{origin}/mcp/"}
    return post(f"{origin}/token", urllib.parse.urlencode(form), "application/x-www-form-urlencoded")["access_token"]


def post(url, body, kind):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
