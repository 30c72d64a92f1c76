#!/usr/bin/env python3
"""What `chaterimo record` adds to a call, and how soon `chaterimo replay` answers. See README.md beside this file.

usage: python3 benches/recorder.py [PROGRAM]      the program: target/release/chaterimo, unless given

The server is a replay of a recording of Claude Code, so nothing else is needed. Calls go over one connection that stays
open, in rounds that alternate between the server and the recorder before it. Exits with 1 when the recorder adds more than
1 ms at the median, or a replay takes more than 20 ms to its first answer.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "target/release/chaterimo")
RECORDING = os.path.join(ROOT, "protocol-fixtures/transcripts/http-full-top-tickets.jsonl")
PIPED = os.path.join(ROOT, "protocol-fixtures/transcripts/stdio-full-top-tickets.jsonl")
ROUNDS, CALLS, WARM_UP = 10, 400, 200
STARTS = 40
MAX_ADDED_MS, MAX_START_MS = 1.0, 20.0


def requests(path):
    lines = [json.loads(line) for line in open(path)][1:]
    return [line["message"] for line in lines if line["from"] == "client" and "id" in line.get("message", {})]


def post(message):
    meta = message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"]
    body = json.dumps(message).encode()
    head = (f"POST /mcp/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {meta}\r\n"
            f"Mcp-Method: {message['method']}\r\nContent-Length: {len(body)}\r\n\r\n")
    return head.encode() + body


class Connection:
    def __init__(self, url):
        port = int(url.split(":")[2].split("/")[0])
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request):
        self.socket.sendall(request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.receive()
        head, body = got.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                      if line.startswith(b"content-length"))
        while len(body) < length:
            body += self.receive()
        assert head.startswith(b"HTTP/1.1 200"), head
        return body

    def receive(self):
        data = self.socket.recv(1 << 16)
        assert data, "the connection was closed"
        return data


def start(*arguments):
    process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    return process, process.stdout.readline().decode().strip()


def stop(process):
    process.terminate()
    process.wait()


def microseconds(connection, request, calls):
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        connection.ask(request)
        times.append((time.perf_counter() - began) * 1e6)
    return times


def overhead():
    call = post(requests(RECORDING)[-1])
    folder = tempfile.mkdtemp()
    server, url = start("replay", RECORDING)
    recorder, before = start("record", "--out", os.path.join(folder, "out.jsonl"), url)
    ways = {"direct": Connection(url), "through the recorder": Connection(before)}
    times = {way: [] for way in ways}
    size = len(ways["direct"].ask(call))
    for connection in ways.values():
        microseconds(connection, call, WARM_UP)
    for _ in range(ROUNDS):
        for way, connection in ways.items():
            times[way] += microseconds(connection, call, CALLS)
    stop(recorder)
    stop(server)
    print(f"a call with an answer of {size:,} bytes, {ROUNDS * CALLS:,} each way, one connection:")
    for way, all_times in times.items():
        all_times.sort()
        print(f"  {way:22} p50 {statistics.median(all_times):7.0f} µs   p99 {all_times[len(all_times) * 99 // 100]:7.0f} µs")
    direct, through = (statistics.median(times[way]) for way in ways)
    print(f"  it adds {(through - direct) / 1000:.3f} ms at the median, ratio {through / direct:.2f}")
    return (through - direct) / 1000


def first_answer():
    opening = requests(PIPED)[0]
    worst = 0
    for way in ["http", "stdio"]:
        times = []
        for _ in range(STARTS):
            began = time.perf_counter()
            if way == "http":
                process, url = start("replay", RECORDING)
                Connection(url).ask(post(opening))
            else:
                process = subprocess.Popen([PROGRAM, "replay", PIPED, "--stdio"], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE)
                process.stdin.write(json.dumps(opening).encode() + b"\n")
                process.stdin.flush()
                assert process.stdout.readline().startswith(b"{")
            times.append((time.perf_counter() - began) * 1000)
            stop(process)
        worst = max(worst, statistics.median(times))
        print(f"replay over {way}, from exec to the first answer: p50 {statistics.median(times):.1f} ms, "
              f"most {max(times):.1f} ms of {STARTS}")
    return worst


added, started = overhead(), first_answer()
sys.exit(int(added > MAX_ADDED_MS or started > MAX_START_MS))
