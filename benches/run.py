#!/usr/bin/env python3
"""Sets chaterimo against the floor of benches/floor.rs and prints one Markdown table: see benches/README.md.

Needs cargo and Python 3; for the instruction counts also valgrind (apt-get install -y valgrind).
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from consent import access_token

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "loadgen", "version": "1"},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One request of the modern era, and how dear it may be against the floor's."""

    label: str
    method: str
    params: dict
    instructions_ratio: float
    cpu_ratio: float = 1.5
    p50_ratio: float = 2.0

    def body(self):
        params = {**self.params, "_meta": META}
        return json.dumps({"jsonrpc": "2.0", "id": 7, "method": self.method, "params": params}, separators=(",", ":"))

    def headers(self, key):
        named = [f"Mcp-Name: {self.params['name']}"] if "name" in self.params else []
        return [*common_headers(key), "MCP-Protocol-Version: 2026-07-28", f"Mcp-Method: {self.method}", *named]


CALL = Cell("tools/call list_chatbots", "tools/call", {"name": "list_chatbots", "arguments": {}}, 1.5)
LIST = Cell("tools/list", "tools/list", {}, 2.0)
DISCOVER = Cell("server/discover", "server/discover", {}, 2.0)
CELLS = [CALL, LIST, DISCOVER]


def common_headers(key):
    return [f"Authorization: Bearer {key}", "Accept: application/json, text/event-stream"]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A server that is measured: how it is started, with which key it is asked, and who can sign in."""

    serve: list
    stdio: list
    key: str
    person: tuple = ()


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table. `holds` is None where there is no target."""

    figure: str
    floor: str
    ours: str
    ratio: str = ""
    target: str = ""
    holds: bool = None

    def __str__(self):
        verdict = {None: "", True: "yes", False: "**no**"}[self.holds]
        return f"| {self.figure} | {self.floor} | {self.ours} | {self.ratio} | {self.target} | {verdict} |"


class Failed(Exception):
    """A measurement that cannot go on; the text says why."""


def main():
    options = arguments()
    programs = build()
    global DEADLINE
    DEADLINE = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="chaterimo-bench-") as scratch:
        bench = Bench(programs, Path(scratch), options)
        try:
            bench.prepare()
        except Failed as failure:
            sys.exit(str(failure))
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start\n")
        print("| figure | floor | ours | ours / floor | target | holds |\n|---|--:|--:|--:|--:|---|", flush=True)
        failures = [failure for name in options.only for failure in bench.section(name)]
    if failures:
        sys.exit("\n".join(failures))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = list(Bench.SECTIONS)
    parser.add_argument("--only", type=lambda text: text.split(","), default=sections, metavar=",".join(sections),
                        help="only some sections")
    parser.add_argument("--rounds", type=int, default=5, help="paired rounds of the load section")
    parser.add_argument("--seconds", type=float, default=0.8, help="how long each load is measured")
    parser.add_argument("--connections", type=lambda text: [int(n) for n in text.split(",")], default=[1, 16, 64])
    parser.add_argument("--sessions", type=int, default=10_000, help="idle legacy sessions of the memory section")
    parser.add_argument("--minutes", type=float, default=6,
                        help="what is not measured by then is left out; building does not count")
    parser.add_argument("--against-itself", action="store_true",
                        help="the floor in place of chaterimo: what the ratios are worth on this machine")
    options = parser.parse_args()
    for name in options.only:
        if name not in sections:
            parser.error(f"--only: {name} is none of {', '.join(sections)}")
    return options


# Building and starting


def build():
    """Paths of the release builds. The product comes last: built with the benches it has the test crates' features."""
    targets = {}
    for flags in (["--bench", "floor", "--bench", "loadgen"], ["--bin", "chaterimo"]):
        command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics", *flags]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit("cargo build failed")
        messages = map(json.loads, done.stdout.splitlines())
        targets.update((m["target"]["name"], m["executable"]) for m in messages if m.get("executable"))
    return targets


DEADLINE = 0.0


def left():
    """Seconds that are left for everything."""
    seconds = DEADLINE - time.monotonic()
    if seconds <= 0:
        raise Failed("the time is up; --minutes gives more")
    return seconds


def run(command, environment=None):
    """The standard output of a command that must succeed in the time left."""
    environment = {**os.environ, **(environment or {})}
    name = f"{Path(command[0]).name} {command[1]}"
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=left())
    except subprocess.TimeoutExpired:
        raise Failed(f"the time is up within {name}; --minutes gives more")
    if done.returncode:
        raise Failed(f"{name} failed: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


class Running:
    """A started server: its process, and the object of its first line."""

    def __init__(self, process, announced):
        self.pid = process.pid
        self.announced = announced
        self.url = announced["url"]


@contextlib.contextmanager
def running(command):
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        watchdog = threading.Timer(left(), process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
            if not line.startswith(b"{"):
                process.kill()
                process.wait()
                log.seek(0)
                said = (line + log.read())[-1500:].decode(errors="replace")
                raise Failed(f"it never listened: {' '.join(map(str, command))}\n{said}")
            yield Running(process, json.loads(line))
        finally:
            watchdog.cancel()
            stop(process)


def stop(process):
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


# The store that is asked


def chaterimo(program, directory):
    """chaterimo on the demo store, whose organisation without quota limits has been given 20 chatbots and more."""
    data = ["--data-dir", str(directory)]
    serve = [program, "serve", "--listen", "127.0.0.1:0", "--json", *data]
    with running([*serve, "--demo"]) as server:
        key = server.announced["api_key"]
        person = (server.announced["owner_email"], server.announced["owner_password"])
    import_chatbots(program, data, directory)
    return Candidate(serve, [program, "stdio", *data], key, person)


def import_chatbots(program, data, directory):
    """Adds 20 chatbots, as an operator would."""
    bots = [{"type": "chatbot", "external_id": f"bench-{n:02}", "settings": {"name": f"Bot {n:02}"}} for n in range(20)]
    path = Path(directory, "bench-chatbots.jsonl")
    path.write_text("".join(json.dumps(bot) + "\n" for bot in bots))
    run([program, "import", *data, "--org", DEMO_ORGANISATION, str(path)])


# The slug of the organisation that `api_key` of `serve --demo` belongs to.
DEMO_ORGANISATION = "demo"


# Measuring


class Bench:
    """The floor and ours, and one method for each section of the table."""

    def __init__(self, programs, scratch, options):
        self.programs, self.scratch, self.options = programs, scratch, options

    def prepare(self):
        """Fills both stores and sees that the rows asked for are there."""
        floor = self.programs["floor"]
        (self.scratch / "floor").mkdir()
        directory = str(self.scratch / "floor")
        self.floor = Candidate([floor, "serve", directory], [floor, "stdio", directory], "cha_" + "x" * 40)
        if self.options.against_itself:
            self.ours = self.floor
        else:
            self.ours = chaterimo(self.programs["chaterimo"], self.scratch / "chaterimo")
        for candidate in (self.floor, self.ours):
            with running(candidate.serve) as server:
                check_rows(self.once(candidate, server, CALL, 1))

    def section(self, name):
        """Prints a section's rows as they come; yields what failed."""
        try:
            for row in Bench.SECTIONS[name](self):
                print(row, flush=True)
        except Failed as failure:
            yield f"{name}: {failure}"

    def loadgen(self, *words):
        return run([self.programs["loadgen"], *map(str, words)])

    def once(self, candidate, server, cell, repeat):
        out = self.loadgen("once", *target(server, cell.headers(candidate.key)), "--body", cell.body(), "--repeat", repeat)
        return json.loads(out.split("\n\n", 1)[1])

    # User-space instructions of one request

    def instructions(self):
        if not shutil.which("valgrind"):
            raise Failed("valgrind is not installed (apt-get install -y valgrind)")
        floor, ours = self.count_cells(self.floor), self.count_cells(self.ours)
        for cell in CELLS:
            a, b = floor[cell], ours[cell]
            yield compared(f"instructions, {cell.label}", a, b, b / a, cell.instructions_ratio, "{:,.0f}")

    def count_cells(self, candidate):
        """For each cell the difference of two runs, so that starting and stopping do not count."""
        # The log's days are counted once in 1,024 calls: so many hold that work once.
        few, more = 100, 1_024
        # A first start does work of its own, such as training jobs that wait; it is not counted.
        self.count(candidate, {cell: few for cell in CELLS})
        base = self.count(candidate, {cell: few for cell in CELLS})
        grown = {cell: self.count(candidate, {c: few + more * (c is cell) for c in CELLS}) for cell in CELLS}
        return {cell: (total - base) / more for cell, total in grown.items()}

    def count(self, candidate, repeats):
        out = self.scratch / "callgrind.out"
        out.unlink(missing_ok=True)
        valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
        with running([*valgrind, *candidate.serve]) as server:
            for cell, repeat in repeats.items():
                self.once(candidate, server, cell, repeat)
        totals = [line for line in out.read_text().splitlines() if line.startswith(("summary:", "totals:"))]
        return int(totals[-1].split()[1])

    # CPU time and latency

    def load(self):
        with running(self.floor.serve) as floor, running(self.ours.serve) as ours:
            for cell in CELLS:
                sides = [(self.floor, floor), (self.ours, ours)]
                for connections in self.options.connections:
                    # At one connection it matters most on which cores the two processes happen to lie.
                    count = self.options.rounds * (2 if connections == 1 else 1)
                    rounds = [self.pair(sides, cell, connections, n) for n in range(count)]
                    yield from load_rows(cell, connections, rounds)
                yield Row(f"bytes answered, {cell.label}", *(f"{side['body_bytes']:,}" for side in rounds[0]))

    def pair(self, sides, cell, connections, number):
        """The same load on both, one straight after the other; who is first changes by the round."""
        reports = [self.load_one(*side, cell, connections) for side in (sides if number % 2 == 0 else sides[::-1])]
        return reports if number % 2 == 0 else reports[::-1]

    def load_one(self, candidate, server, cell, connections):
        out = self.loadgen("load", *target(server, cell.headers(candidate.key)), "--body", cell.body(), "--pid", server.pid,
                           "--connections", connections, "--seconds", self.options.seconds)
        report = json.loads(out)
        report["cpu_us"] = report["user_us"] + report["system_us"]
        return report

    # Access tokens against API keys

    def token(self):
        """The same calls with a key and with a token, one straight after the other, at one server."""
        if self.options.against_itself:
            return
        with running(self.ours.serve) as ours:
            token = access_token(ours.url.removesuffix("/mcp/"), *self.ours.person)
            sides = [(self.ours, ours), (dataclasses.replace(self.ours, key=token), ours)]
            for connections in (1, 16):
                rounds = [self.pair(sides, CALL, connections, n) for n in range(2 * self.options.rounds)]
                key, more = (statistics.median(values) for values in zip(*(
                    (a["cpu_us"], b["cpu_us"] - a["cpu_us"]) for a, b in rounds)))
                figure = f"CPU time that a token adds to a key's, {connections} connection{'s' * (connections > 1)}"
                yield Row(figure, f"{key:.1f} µs", f"{key + more:.1f} µs", f"{more:+.1f} µs", "≤ +5 µs", more <= 5)

    # Memory

    def memory(self):
        idle = []
        for candidate in (self.floor, self.ours):
            with running(candidate.serve) as server:
                time.sleep(1)
                idle.append(resident_bytes(server.pid))
        yield limited("memory, idle", idle[0], idle[1], 15 * MIB, "{:.1f} MiB", MIB)
        if not self.options.against_itself:
            yield self.idle_sessions()

    def idle_sessions(self):
        """10 MiB for 10,000 sessions: 1,049 bytes each."""
        with running(self.ours.serve) as server:
            headers = target(server, common_headers(self.ours.key))
            out = self.loadgen("sessions", *headers, "--pid", server.pid, "--count", self.options.sessions)
        report = json.loads(out)
        figure = f"memory, {report['sessions']:,} idle legacy sessions"
        grown = (report["after_kib"] - report["before_kib"]) * 1024
        return limited(figure, None, grown, 10 * MIB * report["sessions"] / 10_000, "{:.1f} MiB", MIB)

    # Cold start and size

    def stdio(self):
        reports = []
        for candidate in (self.floor, self.ours):
            command = [self.programs["loadgen"], "stdio", "--body", DISCOVER.body(), "--", *candidate.stdio]
            reports.append(json.loads(run(command, {"CHATERIMO_API_KEY": candidate.key})))
        p50 = [report["p50_ms"] for report in reports]
        yield limited("stdio, exec to first answer, p50", *p50, 15, "{:.1f} ms", 1)

    def size(self):
        sizes = [os.path.getsize(self.programs[name]) for name in ("floor", "chaterimo")]
        yield limited("release binary", *sizes, 15e6, "{:.1f} MB", 1e6)

    SECTIONS = {"instructions": instructions, "load": load, "token": token, "memory": memory, "stdio": stdio, "size": size}


def target(server, headers):
    return ["--url", server.url, *(word for header in headers for word in ("-H", header))]


def check_rows(answer):
    """The same 20 rows as structured content and as text, or there is nothing to compare."""
    result = answer.get("result", {})
    rows = result.get("structuredContent", {}).get("chatbots", [])
    if result.get("isError") or len(rows) != 20:
        raise Failed(f"list_chatbots must answer 20 rows to be comparable; this came:\n{json.dumps(answer)[:1500]}")
    if json.loads(result["content"][0]["text"]) != result["structuredContent"]:
        raise Failed("list_chatbots answers a text block that is not its structured content")


def resident_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


# Rows of the table


def load_rows(cell, connections, rounds):
    """CPU time and p50: the medians of the rounds, and the median of the rounds' ratios."""
    where = f"{cell.label}, {connections} connection{'s' * (connections > 1)}"
    p50_limit = cell.p50_ratio if connections == 1 else None
    for figure, name, limit in (("CPU time", "cpu_us", cell.cpu_ratio), ("p50", "p50_us", p50_limit)):
        floor, ours = (statistics.median(pair[side][name] for pair in rounds) for side in (0, 1))
        ratio = statistics.median(ours[name] / floor[name] for floor, ours in rounds if floor[name])
        yield compared(f"{figure}, {where}", floor, ours, ratio, limit, "{:,.1f} µs")


def compared(figure, floor, ours, ratio, limit, form):
    """A figure whose target is a ratio to the floor's."""
    target_text, holds = (f"≤ {limit:g} ×", ratio <= limit) if limit else ("", None)
    return Row(figure, form.format(floor), form.format(ours), f"{ratio:.2f}", target_text, holds)


def limited(figure, floor, ours, limit, form, unit):
    """A figure whose target is an amount of its own."""
    text = lambda amount: "–" if amount is None else form.format(amount / unit)
    return Row(figure, text(floor), text(ours), "", f"≤ {text(limit)}", ours <= limit)


if __name__ == "__main__":
    main()
