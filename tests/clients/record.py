"""Records every case with the real Claude Code; `record` runs this in a network namespace of its own."""

import datetime
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import messages
from cases import CASES

CLIENTS = pathlib.Path(os.environ["CLIENTS"])
CHATERIMO = os.environ["CHATERIMO"]
OUT = pathlib.Path(__file__).resolve().parents[2] / "protocol-fixtures/transcripts"
SERVER, RECORDER, MODEL = 8791, 8792, 8793
CLIENT_SECONDS = 180


class Store:
    """A data folder with the demo as it was filled, for each case a copy of its own."""

    def __init__(self, work):
        self.work, self.folder = work, work / "demo"
        self.base = dict(os.environ, RUST_BACKTRACE="0")
        command = [CHATERIMO, "serve", "--demo", "--json", "--listen", "127.0.0.1:0", "--data-dir", str(self.folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.base)
        self.keys = json.loads(server.stdout.readline())
        self.wait_for_training()
        server.send_signal(signal.SIGTERM)
        if server.wait(60) != 0:
            sys.exit("record: the demo's server did not stop cleanly")

    def ask(self, sql):
        database = sqlite3.connect(self.folder / "chaterimo.db")
        try:
            return database.execute(sql).fetchone()[0]
        finally:
            database.close()

    def wait_for_training(self):
        unfinished = "SELECT count(*) FROM training_job WHERE status IN ('queued', 'running')"
        for _ in range(100):
            if self.ask(unfinished) == 0:
                return
            time.sleep(0.1)

    def filled_at(self):
        millis = self.ask("SELECT min(created_at) FROM organisation")
        moment = datetime.datetime.fromtimestamp(millis // 1000, datetime.timezone.utc)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis % 1000:03d}Z"

    def copy(self, name):
        return pathlib.Path(shutil.copytree(self.folder, self.work / name / "data"))


class Server:
    """The real server on a copy of the store; it can be started anew on the same port."""

    def __init__(self, data):
        self.data, self.process = data, None
        self.start()

    def start(self, *flags):
        command = [CHATERIMO, "serve", "--json", "--listen", f"127.0.0.1:{SERVER}", "--data-dir", str(self.data), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdout.readline()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def restart(self, *flags):
        self.stop()
        self.start(*flags)


class Claude:
    """Claude Code with a home of its own, that knows one server."""

    def __init__(self, home, version):
        self.home, self.modules = home, CLIENTS / version / "node_modules"
        home.mkdir(parents=True)
        self.environment = {
            "HOME": str(home), "PATH": f"{self.modules}/node/bin:{os.environ['PATH']}", "LANG": "C.UTF-8",
            "TERM": "dumb", "ANTHROPIC_API_KEY": "none-is-needed", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{MODEL}",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def run(self, *arguments):
        command = [str(self.modules / ".bin/claude"), *arguments]
        ran = subprocess.run(command, cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=CLIENT_SECONDS)
        if ran.returncode != 0:
            raise RuntimeError(f"claude {arguments[0]} {arguments[1]} failed:\n{ran.stdout}\n{ran.stderr}")
        return ran.stdout


def record(case, store, work):
    """Records one case; the path of its transcript."""
    out = work / case.name / "out.jsonl"
    data = store.copy(case.name)
    claude = Claude(work / case.name / "home", case.client)
    key = store.keys[case.key]
    about = ["--about", case.about, "--keep-contacts", "--out", str(out)] + (["--readonly"] if case.reads_only else [])
    if case.transport == "stdio":
        command = [CHATERIMO, "record", *about, "--", CHATERIMO, "stdio", "--data-dir", str(data)]
        claude.run("mcp", "add", "chaterimo", "--env", f"CHATERIMO_API_KEY={key}", "--", *command)
        converse(case, claude, None)
    else:
        server = Server(data)
        url = f"http://127.0.0.1:{SERVER}/{case.endpoint}/"
        command = [CHATERIMO, "record", "--listen", f"127.0.0.1:{RECORDER}", *about, url]
        recorder = subprocess.Popen(command, stdout=subprocess.PIPE)
        proxied = recorder.stdout.readline().decode().strip()
        try:
            claude.run("mcp", "add", "--transport", "http", "chaterimo", proxied, "--header", f"Authorization: Bearer {key}")
            converse(case, claude, server)
        finally:
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(60)
            server.stop()
    settle(out)
    return out


def converse(case, claude, server):
    """Runs the client through the case and sees that it went as the case says."""
    if not case.calls:
        health = claude.run("mcp", "list")
        if "✔" not in health and "✓" not in health:
            raise RuntimeError(f"the client is not connected:\n{health}")
        return
    script = messages.Script(case.calls)
    script.server = server
    model = messages.serve(script, MODEL)
    try:
        claude.run("-p", messages.PROMPT, "--allowedTools", "mcp__chaterimo", "--output-format", "json")
    finally:
        model.shutdown()
        model.server_close()
    if script.errors != case.errors:
        raise RuntimeError(f"errors were {script.errors}, not {case.errors}: {script.results}")


def settle(path):
    """Waits until a wrapper that the client left behind has written its last line."""
    size, still = -1, 0
    while still < 5:
        time.sleep(0.1)
        now = path.stat().st_size if path.exists() else -1
        still = still + 1 if now == size and now > 0 else 0
        size = now


def main(words):
    chosen = [case for case in CASES if not words or any(word in case.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        store = Store(work)
        recorded = []
        for case in chosen:
            began = time.monotonic()
            try:
                recorded.append((case, record(case, store, work)))
            except Exception:
                print(f"{case.name} went wrong; what was recorded of it:", *work.glob(f"{case.name}/out.jsonl"), flush=True)
                shutil.copy(work / case.name / "out.jsonl", "/tmp/failed.jsonl")
                raise
            print(f"{case.name}: {time.monotonic() - began:.1f} s", flush=True)
        # Nothing is replaced before all went well: the transcripts share one store.
        OUT.mkdir(parents=True, exist_ok=True)
        if not words:
            for old in OUT.glob("*.jsonl"):
                old.unlink()
            (OUT / "store.json").write_text(json.dumps({"filled_at": store.filled_at()}) + "\n")
        target = OUT if not words else pathlib.Path("/tmp")
        for case, path in recorded:
            shutil.copy(path, target / f"{case.name}.jsonl")
            os.chmod(target / f"{case.name}.jsonl", 0o644)
        print(f"{len(recorded)} transcripts in {target}")


if __name__ == "__main__":
    main(sys.argv[1:])
