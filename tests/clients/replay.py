"""Runs the real Claude Code against replays of its recordings; `replay` runs this in a network namespace of its own.

Each recording is played strictly to the client that made it: whatever that client says now must be what it said then. Then it
is played leniently to the client of the other era. In both, every call that was recorded must be answered as it was.
"""

import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import messages
from cases import CASES, LEGACY, PRESENT
from record import CHATERIMO, MODEL, OUT, Claude


class Recorded:
    """The calls of a recording, and whether each was answered with an error."""

    def __init__(self, path):
        self.path = path
        lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
        said = [line["message"] for line in lines if line["from"] == "client" and "message" in line]
        answers = {line["message"]["id"]: line["message"] for line in lines
                   if line["from"] == "server" and "id" in line.get("message", {})}
        self.lists_tools = any(message.get("method") == "tools/list" for message in said)
        asked = [message for message in said if message.get("method") == "tools/call"]
        self.calls = [(message["params"]["name"], message["params"]["arguments"]) for message in asked]
        self.results = [answers[message["id"]]["result"] for message in asked]
        self.errors = [bool(result.get("isError")) for result in self.results]


def play(case, version, flag, work):
    """One run of the client: what went wrong, in words."""
    recorded = Recorded(OUT / f"{case.name}.jsonl")
    work.mkdir()
    claude, complaints = Claude(work / "home", version), work / "complaints"
    replay = [CHATERIMO, "replay", str(recorded.path), flag]
    server = None
    if case.transport == "stdio":
        shell = 'out=$1; shift; exec "$@" 2>"$out"'
        claude.run("mcp", "add", "chaterimo", "--", "bash", "-c", shell, "replay", str(complaints), *replay, "--stdio")
    else:
        server = subprocess.Popen(replay, stdout=subprocess.PIPE, stderr=complaints.open("w"))
        url = server.stdout.readline().decode().strip()
        claude.run("mcp", "add", "--transport", "http", "chaterimo", url)
    wrong = converse(claude, recorded)
    if server:
        server.send_signal(signal.SIGTERM)
        if server.wait(60) != 0:
            wrong.append(f"the replay ended with {server.returncode}")
    return wrong + complaints.read_text().splitlines()


def converse(claude, recorded):
    if not recorded.calls:
        health = claude.run("mcp", "list")
        return [] if "✔" in health or "✓" in health else [f"the client is not connected: {health}"]
    script = messages.Script(recorded.calls)
    model = messages.serve(script, MODEL)
    try:
        claude.run("-p", messages.PROMPT, "--allowedTools", "mcp__chaterimo", "--output-format", "json")
    finally:
        model.shutdown()
        model.server_close()
    wrong = []
    if script.errors != recorded.errors:
        wrong.append(f"errors were {script.errors}, not {recorded.errors}: {script.results}")
    for got, result in zip(script.results, recorded.results):
        # The model is handed the structured result of a success, and the text of an error.
        texts = [block.get("text", "") for block in result["content"]]
        if not any(text and text[:200] in got for text in texts):
            wrong.append(f"the model was handed {got[:200]!r}")
    return wrong


def main(words):
    failed, runs, calls = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for case in [case for case in CASES if not words or any(word in case.name for word in words)]:
            other = LEGACY if case.client == PRESENT else PRESENT
            runs_of_it = [(case.client, "--strict")]
            # The older client looks after a server's health without its tools, which the present one wants.
            if other == LEGACY or Recorded(OUT / f"{case.name}.jsonl").lists_tools:
                runs_of_it.append((other, "--lenient"))
            for version, flag in runs_of_it:
                began = time.monotonic()
                wrong = play(case, version, flag, pathlib.Path(folder) / f"{case.name}{flag}")
                count = len(Recorded(OUT / f"{case.name}.jsonl").calls)
                runs, calls, failed = runs + 1, calls + count, failed + bool(wrong)
                print(f"{case.name} to {version} {flag}: {count} calls, {time.monotonic() - began:.1f} s"
                      + "".join(f"\n  {text}" for text in wrong), flush=True)
    print(f"{runs} runs of Claude Code, {calls} calls answered from recordings, {failed} runs went wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
