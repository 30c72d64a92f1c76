"""Takes real MCP clients through OAuth in a real browser; `oauth` runs this in a network namespace of its own.

Each client goes the same way: it meets the challenge, its person signs in and allows it while the server is restarted
under the open consent page, it lists and calls tools, the server is restarted, it calls again, its access token ends and
it refreshes, and then the person revokes the app on the dashboard and the next call is refused."""

import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import messages
from cases import PRESENT
from record import CHATERIMO, CLIENT_SECONDS, CLIENTS, MODEL, RECORDER, SERVER, Claude, Server, Store, settle

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parents[1] / "protocol-fixtures/transcripts/oauth"
CONTROL = 8794
URL = f"http://127.0.0.1:{RECORDER}/mcp/"
NODE = CLIENTS / PRESENT / "node_modules/node/bin"


class Control:
    """Lets the browser's script have the server restarted while the consent page is open."""

    def __init__(self, server):
        control = self
        self.restarts = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.restart(*server.flags)
                control.restarts += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", CONTROL), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Site:
    """The server, the recorder in front of it, and the person who uses both."""

    def __init__(self, store, work, name, *flags):
        self.out, self.work = work / name / "out.jsonl", work / name
        data = store.copy(name)
        self.server = Server.__new__(Server)
        self.server.data, self.server.process = data, None
        self.server.flags = ("--public-url", f"http://127.0.0.1:{RECORDER}", *flags)
        self.server.start(*self.server.flags)
        command = [CHATERIMO, "record", "--listen", f"127.0.0.1:{RECORDER}", "--keep-contacts", "--out", str(self.out),
                   "--about", f"{name} through OAuth", f"http://127.0.0.1:{SERVER}/mcp/"]
        self.recorder = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.recorder.stdout.readline()
        self.control = Control(self.server)
        self.person = {"EMAIL": store.keys["owner_email"], "PASSWORD": store.keys["owner_password"]}
        self.bin = self.work / "bin"
        self.bin.mkdir()
        self.script("xdg-open", "authorize.mjs", PAUSE=f"curl -sf http://127.0.0.1:{CONTROL}/restart")

    def script(self, name, program, **extra):
        """A command that runs one of the browser's scripts as this person."""
        environment = {**self.person, "HOME": os.environ["HOME"], "PATH": f"{NODE}:{os.environ['PATH']}", **extra}
        pairs = " ".join(f"{key}='{value}'" for key, value in environment.items())
        path = self.bin / name
        path.write_text(f'#!/bin/bash\nexec env -i {pairs} node {CLIENTS}/browser/{program} "$@" >>{self.work}/browser.log 2>&1\n')
        path.chmod(0o755)
        return str(path)

    def environment(self):
        home = self.work / "home"
        home.mkdir(exist_ok=True)
        return {"HOME": str(home), "PATH": f"{self.bin}:{NODE}:{CLIENTS / PRESENT}/node_modules/.bin:{os.environ['PATH']}",
                "LANG": "C.UTF-8", "TERM": "dumb", "BROWSER": str(self.bin / "xdg-open")}

    def revoke(self):
        """The person revokes the app on the dashboard."""
        revoke = self.script("revoke", "revoke.mjs")
        if subprocess.run([revoke, f"http://127.0.0.1:{RECORDER}/apps"]).returncode != 0:
            raise RuntimeError("the app could not be revoked:\n" + (self.work / "browser.log").read_text())
        # Should the app ask again, it is told no.
        self.script("xdg-open", "authorize.mjs", DENY="1")

    def restart(self):
        self.server.restart(*self.server.flags)

    def close(self):
        self.control.close()
        self.recorder.send_signal(signal.SIGTERM)
        self.recorder.wait(60)
        self.server.stop()
        settle(self.out)


class Lines:
    """A client that takes commands by lines and answers in JSON (sdk.mjs, sdk.py)."""

    def __init__(self, site, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=site.environment(),
                                        stderr=open(site.work / "client.log", "w"), text=True, cwd=HERE)

    def do(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or '{"failed": "the client is gone"}')

    def close(self):
        self.process.stdin.close()
        self.process.kill()


class Remote:
    """mcp-remote, to which we speak MCP through its pipe."""

    def __init__(self, site, *_):
        self.site, self.id = site, 0
        command = [str(CLIENTS / PRESENT / "node_modules/.bin/mcp-remote"), URL, "--allow-http"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=site.environment(),
                                        stderr=open(site.work / "client.log", "w"), text=True)

    def ask(self, method, params):
        self.id += 1
        self.tell({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == self.id:
                return message
        return {"error": {"message": "the client is gone"}}

    def tell(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def do(self, command):
        command, *words = command.split(" ")
        if command == "connect":
            client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "desktop", "version": "1"}}
            self.ask("initialize", client)
            self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
            return {"tools": len(self.ask("tools/list", {})["result"]["tools"])}
        if command == "call":
            answer = self.ask("tools/call", {"name": words[0], "arguments": {}})
            if "error" in answer:
                return {"failed": answer["error"]["message"]}
            return {"error": answer["result"].get("isError", False)}
        for tokens in (self.site.work / "home/.mcp-auth").rglob("*_tokens.json"):
            kept = json.loads(tokens.read_text())
            tokens.write_text(json.dumps(kept | {"access_token": "mat_spoilt"}))
        return {}

    def close(self):
        self.process.kill()


def check(name, answer, **wanted):
    found = {key: answer.get(key) for key in wanted}
    if found != wanted:
        raise RuntimeError(f"{name}: {answer}, wanted {wanted}")


def by_commands(site, client):
    """The way of a client that does what it is told, step by step."""
    try:
        check("connect", client.do("connect"), tools=19)
        check("call", client.do("call list_chatbots"), error=False)
        site.restart()
        check("after a restart", client.do("call get_dashboard"), error=False)
        client.do("spoil")
        check("after a refresh", client.do("call list_tickets"), error=False)
        site.revoke()
        answer = client.do("call list_chatbots")
        if "failed" not in answer:
            raise RuntimeError(f"a revoked app was answered: {answer}")
    finally:
        client.close()


def by_claude(site):
    """The way of Claude Code, which calls what a stand-in for its model asks for."""
    claude = Claude(site.work / "home", PRESENT)
    claude.environment |= {"BROWSER": str(site.bin / "xdg-open"), "PATH": f"{site.bin}:{claude.environment['PATH']}"}
    claude.run("mcp", "add", "--transport", "http", "chaterimo", URL)
    # It wants a terminal to log in at.
    command = f"{claude.modules}/.bin/claude mcp login chaterimo"
    said = subprocess.run(["script", "-qec", command, "/dev/null"], cwd=claude.home, env=claude.environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=CLIENT_SECONDS).stdout
    (site.work / "login.txt").write_text(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said))
    health = claude.run("mcp", "list")
    if "✔" not in health and "✓" not in health:
        raise RuntimeError(f"the client is not connected:\n{said}\n{health}")
    calls = [("list_chatbots", {}), ("get_chatbot", lambda _: site.restart() or {"chatbot_id": 1}), ("list_tickets", {})]
    asked(claude, calls, [False] * 3)
    site.revoke()
    health = claude.run("mcp", "list")
    if "✔" in health or "✓" in health:
        raise RuntimeError(f"a revoked app is connected:\n{health}")


def asked(claude, calls, errors):
    script = messages.Script(calls)
    model = messages.serve(script, MODEL)
    try:
        claude.run("-p", messages.PROMPT, "--allowedTools", "mcp__chaterimo", "--output-format", "json")
    finally:
        model.shutdown()
        model.server_close()
    if script.errors != errors:
        raise RuntimeError(f"errors were {script.errors}, not {errors}: {script.results}")


# The shortest life of an access token: Claude Code then refreshes before each request.
CASES = {
    "claude-code-document": (("--access-token-seconds", "300"), by_claude),
    "claude-code-registered": (("--client-documents", "off"), by_claude),
    "mcp-remote": ((), lambda site: by_commands(site, Remote(site))),
    "typescript-v1": ((), lambda site: by_commands(site, Lines(site, str(NODE / "node"), str(CLIENTS / "sdk/sdk.mjs"), "v1", URL))),
    "typescript-v2": ((), lambda site: by_commands(site, Lines(site, str(NODE / "node"), str(CLIENTS / "sdk/sdk.mjs"), "v2", URL))),
    "python": ((), lambda site: by_commands(site, Lines(site, str(CLIENTS / "python/bin/python"), str(HERE / "sdk.py"), URL))),
}


# What the person's browser fetches beside the authorization itself: the pages have tests of their own.
PAGES = ("/assets/", "/login", "/apps", "/favicon")


def slim(path):
    """The transcript without the pages: what the client and the authorization server said to each other."""
    lines, left_out, browsed = [], set(), set()
    for text in path.read_text().splitlines():
        line = json.loads(text)
        http_path, exchange = line.get("http", {}).get("path", ""), line.get("exchange")
        if http_path.startswith(PAGES):
            left_out.add(exchange)
        if http_path.startswith("/authorize"):
            browsed.add(exchange)
        if exchange in browsed and line["from"] == "server":
            line.pop("message", None)
        if exchange not in left_out:
            lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False))
    return "\n".join(lines) + "\n"


def main(words):
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        store, recorded = Store(work), []
        for name, (flags, way) in CASES.items():
            if words and not any(word in name for word in words):
                continue
            site = Site(store, work, name, *flags)
            try:
                way(site)
                if site.control.restarts == 0:
                    raise RuntimeError("the consent page was never open")
            except Exception:
                site.close()
                shutil.copytree(work / name, "/tmp/oauth-failed", dirs_exist_ok=True, ignore=shutil.ignore_patterns("data"))
                print(f"{name} went wrong; what was recorded of it is in /tmp/oauth-failed", flush=True)
                raise
            site.close()
            recorded.append((name, site.out))
            print(f"{name}: signed in, called, restarted, refreshed, revoked", flush=True)
        OUT.mkdir(parents=True, exist_ok=True)
        target = OUT if not words else pathlib.Path("/tmp")
        if not words:
            (OUT / "store.json").write_text(json.dumps({"filled_at": store.filled_at()}) + "\n")
        for name, path in recorded:
            (target / f"{name}.jsonl").write_text(slim(path))
        print(f"{len(recorded)} transcripts in {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
