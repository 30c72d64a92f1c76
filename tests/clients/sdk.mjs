// The TypeScript SDK as a client that goes through OAuth: `node sdk.mjs v1|v2 URL`. Takes one command a line on stdin
// and answers each with one line of JSON: `connect`, `call TOOL`, `spoil` (makes the access token one that the server
// refuses, as an expired one is), `quit`. $BROWSER is run with the authorization URL.
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const [version, url] = process.argv.slice(2);
const load = async () => {
  if (version === "v2") return import("@modelcontextprotocol/client");
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  return { Client, StreamableHTTPClientTransport };
};
const { Client, StreamableHTTPClientTransport } = await load();

const returned = Promise.withResolvers();
const callback = createServer((request, response) => {
  const query = new URL(request.url, "http://localhost").searchParams;
  response.end("You can close this page.");
  if (query.has("code") || query.has("error")) returned.resolve(query);
});
await new Promise((ready) => callback.listen(0, "127.0.0.1", ready));
const redirect = `http://127.0.0.1:${callback.address().port}/callback`;

const kept = {};
const provider = {
  redirectUrl: redirect,
  clientMetadata: {
    client_name: `TypeScript SDK ${version}`, redirect_uris: [redirect], grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"], token_endpoint_auth_method: "none", application_type: "native",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (state) => { kept.discovery = state; },
  discoveryState: () => kept.discovery,
  redirectToAuthorization: (authorization) => {
    if (kept.tokens) throw new Error("the client wants a person again");
    execFile("bash", ["-c", `${process.env.BROWSER} "$1"`, "bash", authorization.href], (error, out, complaint) => {
      if (error) returned.reject(new Error(complaint || error.message));
    });
  },
};

const transport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
let client;
const commands = {
  async connect() {
    client = new Client({ name: `sdk-${version}`, version: "1" });
    const first = transport();
    try {
      await client.connect(first);
    } catch (error) {
      if (error.name !== "UnauthorizedError" && !/unauthorized/i.test(String(error))) throw error;
      const query = await returned.promise;
      if (query.has("error")) throw new Error(query.get("error"));
      await (version === "v2" ? first.finishAuth(query) : first.finishAuth(query.get("code")));
      client = new Client({ name: `sdk-${version}`, version: "1" });
      await client.connect(transport());
    }
    return { tools: (await client.listTools()).tools.length };
  },
  async call(name) {
    const result = await client.callTool({ name, arguments: {} });
    return { tool: name, error: result.isError ?? false };
  },
  async spoil() {
    kept.tokens = { ...kept.tokens, access_token: "mat_spoilt" };
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...words] = line.split(" ");
  if (command === "quit") break;
  const answer = await commands[command](...words).catch((error) => ({ failed: `${error.name}: ${error.message}` }));
  console.log(JSON.stringify({ command, ...answer, refreshed: kept.tokens?.refresh_token !== undefined }));
}
process.exit(0);
