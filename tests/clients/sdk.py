"""The Python SDK as a client that goes through OAuth; the same commands as sdk.mjs."""

import asyncio
import json
import os
import sys
import urllib.parse

from mcp import ClientSession
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

URL = sys.argv[1]


class Kept:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Callback:
    """The client's own little server that the browser comes back to."""

    def __init__(self):
        self.query = asyncio.get_running_loop().create_future()

    async def start(self):
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.redirect = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"
        return self

    async def answer(self, reader, writer):
        target = (await reader.readline()).decode().split(" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\ndone.")
        await writer.drain()
        writer.close()
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
        if ("code" in query or "error" in query) and not self.query.done():
            self.query.set_result(query)

    async def browse(self, url):
        process = await asyncio.create_subprocess_shell(f'{os.environ["BROWSER"]} "$URL"', env={**os.environ, "URL": url},
                                                        stdout=asyncio.subprocess.DEVNULL)
        if await process.wait() != 0 and not self.query.done():
            self.query.set_exception(RuntimeError("the browser did not come back"))

    async def result(self):
        query = await self.query
        if "error" in query:
            raise RuntimeError(query["error"])
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


async def main():
    kept, callback = Kept(), await Callback().start()
    metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=[callback.redirect],
                                   grant_types=["authorization_code", "refresh_token"], response_types=["code"],
                                   token_endpoint_auth_method="none")
    auth = OAuthClientProvider(URL, metadata, kept, callback.browse, callback.result)
    async with create_mcp_http_client(auth=auth) as http, streamable_http_client(URL, http_client=http) as streams:
        async with ClientSession(streams[0], streams[1]) as session:
            reader = asyncio.StreamReader()
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
            while line := (await reader.readline()).decode().strip():
                command, *words = line.split(" ")
                if command == "quit":
                    os._exit(0)
                try:
                    answer = await asyncio.wait_for(run(command, words, session, kept, auth), 60)
                except Exception as error:
                    answer = {"failed": f"{type(error).__name__}: {error}"}
                print(json.dumps({"command": command, **answer}), flush=True)


async def run(command, words, session, kept, auth):
    if command == "connect":
        await session.initialize()
        return {"tools": len((await session.list_tools()).tools)}
    if command == "call":
        result = await session.call_tool(words[0], {})
        return {"tool": words[0], "error": bool(getattr(result, "is_error", getattr(result, "isError", False)))}
    if command == "spoil":
        # This client refreshes by the time it was told, never because of a 401.
        auth.context.token_expiry_time = 1
        return {}
    raise ValueError(command)


asyncio.run(main())
