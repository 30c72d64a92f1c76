#!/usr/bin/env python3
"""Runs `chaterimo conformance` against our own server and those of other makers, and prints the table of
docs/conformance.md; with --write it puts it there.

    run.py [--chaterimo target/release/chaterimo] [--only NAME] [--json FOLDER] [--write]

Others are installed below ~/.cache/chaterimo-clients/peers by their own package managers: npm, pip, git and cargo.
What is installed is used again. RUST_SDK names another repository than GitHub's to clone the Rust SDK from.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = pathlib.Path.home() / ".cache/chaterimo-clients/peers"
DOCS = ROOT / "docs/conformance.md"
BEGIN, END = "<!-- table: made by tests/clients/peers/run.py -->", "<!-- end of table -->"
EVERYTHING = "@modelcontextprotocol/server-everything"


def run(*command, **options):
    subprocess.run([str(word) for word in command], check=True, **options)


def node():
    """Node, from npm where the machine has none."""
    beside = CACHE.parent / "conformance/node_modules/node/bin/node"
    return shutil.which("node") or str(beside)


def install_everything():
    folder = CACHE / "everything"
    if not (folder / "node_modules" / EVERYTHING).exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("npm", "install", "--prefix", folder, "--silent", EVERYTHING, cwd=folder)
    package = folder / "node_modules" / EVERYTHING
    sdk = json.loads((folder / "node_modules/@modelcontextprotocol/sdk/package.json").read_text())["version"]
    version = json.loads((package / "package.json").read_text())["version"]
    return package / "dist/index.js", f"server-everything {version} (TypeScript SDK {sdk})"


def install_typescript():
    folder = CACHE / "ts2"
    if not (folder / "node_modules/@modelcontextprotocol/server").exists():
        folder.mkdir(parents=True, exist_ok=True)
        names = ["@modelcontextprotocol/server", "@modelcontextprotocol/node", "zod"]
        run("npm", "install", "--prefix", folder, "--silent", *names, cwd=folder)
    package = folder / "node_modules/@modelcontextprotocol/server/package.json"
    return folder, f"TypeScript SDK {json.loads(package.read_text())['version']}"


def install_fastmcp():
    python = CACHE / "fastmcp/bin/python"
    if not python.exists():
        run(sys.executable, "-m", "venv", CACHE / "fastmcp")
        run(python, "-m", "pip", "install", "-q", "fastmcp")
    version = subprocess.check_output([python, "-c", "import fastmcp; print(fastmcp.__version__)"], text=True)
    return python, f"FastMCP {version.strip()}"


def install_rust():
    folder = CACHE / "rust-sdk"
    if not folder.exists():
        source = os.environ.get("RUST_SDK", "https://github.com/modelcontextprotocol/rust-sdk")
        run("git", "clone", "-q", source, folder)
    # Their own choice of a toolchain would have to be installed first; any recent one does.
    toolchain = os.environ.get("RUSTUP_TOOLCHAIN", "stable")
    binary = folder / "target/debug/conformance-server"
    if not binary.exists():
        run("cargo", "build", "-q", "-p", "mcp-conformance", "--bin", "conformance-server", cwd=folder,
            env={**os.environ, "RUSTUP_TOOLCHAIN": toolchain})
    version = re.search(r'^version = "(.*)"', (folder / "Cargo.toml").read_text(), re.M)
    return binary, f"Rust SDK {version[1]}, its conformance server"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"{process.args[0]} ended at once")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"{process.args[0]} does not listen")


@contextlib.contextmanager
def serving(command, port, env=None):
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **(env or {})})
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def conformance(chaterimo, arguments, out):
    out.unlink(missing_ok=True)
    ran = subprocess.run([chaterimo, "conformance", "--output", "json", "--output-file", out, *map(str, arguments)],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if not out.exists():
        raise SystemExit(f"could not run: {ran.stderr}")
    return json.loads(out.read_text())


def ours(chaterimo, out):
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        command = [chaterimo, "serve", "--demo", "--json", "--listen", f"127.0.0.1:{port}", "--data-dir", f"{home}/d"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            greeting = json.loads(process.stdout.readline())
            key = greeting["api_key"]
            header = ["--header", f"Authorization: Bearer {key}"]
            version = subprocess.check_output([chaterimo, "--version"], text=True).split()[1]
            name = f"Chaterimo {version}"
            yield name, "HTTP", conformance(chaterimo, [greeting["url"], *header], out / "ours-http.json")
            os.environ["CHATERIMO_API_KEY"] = key
            stdio = ["--", chaterimo, "stdio", "--data-dir", f"{home}/d"]
            yield name, "stdio", conformance(chaterimo, stdio, out / "ours-stdio.json")
            del os.environ["CHATERIMO_API_KEY"]
        finally:
            process.terminate()
            process.wait()


def rust(chaterimo, out):
    binary, name = install_rust()
    port = free_port()
    with serving([binary], port, {"PORT": str(port)}):
        url = f"http://127.0.0.1:{port}/mcp"
        call = ["--call", "test_simple_text={}", "--call", "test_tool_with_progress={}",
                "--call", 'test_custom_header={"value": "a"}']
        yield name, "HTTP", conformance(chaterimo, [url, *call], out / "rust-http.json")


def everything(chaterimo, out):
    script, name = install_everything()
    port = free_port()
    with serving([node(), script, "streamableHttp"], port, {"PORT": str(port)}):
        url = f"http://127.0.0.1:{port}/mcp"
        yield name, "HTTP", conformance(chaterimo, [url], out / "everything-http.json")
    yield name, "stdio", conformance(chaterimo, ["--", node(), script, "stdio"], out / "everything-stdio.json")


def typescript(chaterimo, out):
    folder, name = install_typescript()
    port, script = free_port(), HERE / "typescript_server.mjs"
    with serving([node(), script, port, folder], port):
        yield name, "HTTP", conformance(chaterimo, [f"http://127.0.0.1:{port}/mcp"], out / "typescript-http.json")
    yield name, "stdio", conformance(chaterimo, ["--", node(), script, "stdio", folder], out / "typescript-stdio.json")


def fastmcp(chaterimo, out):
    python, name = install_fastmcp()
    port, script = free_port(), HERE / "fastmcp_server.py"
    with serving([python, script, port], port):
        yield name, "HTTP", conformance(chaterimo, [f"http://127.0.0.1:{port}/mcp"], out / "fastmcp-http.json")
    yield name, "stdio", conformance(chaterimo, ["--", python, script, "stdio"], out / "fastmcp-stdio.json")


PEERS = {"ours": ours, "rust": rust, "typescript": typescript, "everything": everything, "fastmcp": fastmcp}


def table(runs):
    lines = ["| server | over | revision | passed | failed | warned | not exercised |", "|---|---|---|--:|--:|--:|--:|"]
    broken = []
    for name, over, report in runs:
        for lane in report["lanes"]:
            if "notTested" in lane:
                lines.append(f"| {name} | {over} | {lane['asked']} | not served | | | |")
                continue
            found = [f for f in report["findings"] if f["revision"] == lane["revision"]]
            count = [sum(f["outcome"] == word for f in found) for word in
                     ("passed", "failed", "warned", "not exercised")]
            lines.append(f"| {name} | {over} | {lane['revision']} | " + " | ".join(map(str, count)) + " |")
            broken += [(name, over, f) for f in found if f["outcome"] in ("failed", "warned")]
    lines.append("")
    for outcome, title in [("failed", "What failed (MUST):"), ("warned", "What was warned of (SHOULD):")]:
        kinds = {}
        for name, over, finding in broken:
            if finding["outcome"] == outcome:
                place = kinds.setdefault((name.split(" ")[0], finding["id"]), (finding["detail"], finding["url"], []))
                place[2].append(f"{over} {finding['revision']}")
        if kinds:
            lines += [title, ""]
        for (name, check), (detail, url, places) in kinds.items():
            detail = " ".join(detail.split()).replace("|", "\\|")
            detail = detail if len(detail) < 200 else detail[:200] + "…"
            lines.append(f"- {name}, [`{check}`]({url}) ({', '.join(places)}): {detail}")
        lines += [""] if kinds else []
    return "\n".join(lines)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chaterimo", default=str(ROOT / "target/release/chaterimo"))
    options.add_argument("--only", choices=PEERS, action="append")
    options.add_argument("--json", type=pathlib.Path, help="keep the reports here")
    options.add_argument("--write", action="store_true", help="put the table into docs/conformance.md")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = given.json or pathlib.Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        runs = [one for name in given.only or PEERS for one in PEERS[name](os.path.abspath(given.chaterimo), out)]
    made = table(runs)
    print(made)
    if given.write:
        text = DOCS.read_text()
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        DOCS.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")


main()
