"""A FastMCP server with one of everything: fastmcp_server.py PORT, or fastmcp_server.py stdio."""
import sys

from fastmcp import FastMCP

server = FastMCP("peer")


@server.tool(annotations={"readOnlyHint": True})
def now() -> dict:
    """What time it is, always."""
    return {"time": "2026-01-01T00:00:00Z"}


@server.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@server.resource("note://one")
def one() -> str:
    """A note."""
    return "one"


@server.resource("note://{name}")
def note(name: str) -> str:
    """A note of any name."""
    return name


@server.prompt
def hello() -> str:
    """Says hello."""
    return "hello"


@server.prompt
def greet(name: str) -> str:
    """Says hello to somebody."""
    return f"hello {name}"


if sys.argv[1] == "stdio":
    server.run(show_banner=False)
else:
    server.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
