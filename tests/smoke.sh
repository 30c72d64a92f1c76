#!/bin/bash
# Starts the given binary as the README does, on a free port and an empty folder, and asks it once over HTTP and once
# over stdio.   usage: tests/smoke.sh target/release/chaterimo
set -euo pipefail
binary=$1
folder=$(mktemp -d)
"$binary" serve --demo --json --listen 127.0.0.1:0 --data-dir "$folder/data" >"$folder/out" 2>"$folder/log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 300); do [ -s "$folder/out" ] && break; sleep 0.1; done
field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" "$folder/out"; }
meta='"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
call='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_chatbots","arguments":{},'$meta'}}'

curl --silent --show-error --fail "$(field url)" -H "Authorization: Bearer $(field api_key)" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: list_chatbots' \
    --data "$call" | grep -q '"is_primary":true'
CHATERIMO_API_KEY=$(field api_key) "$binary" stdio --data-dir "$folder/data" <<<"$call" | grep -q '"is_primary":true'
kill "$server"
wait "$server"
echo "the demo answers over HTTP and stdio, and stops cleanly"
