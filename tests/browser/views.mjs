// Opens the app views in a host of our own, as a client with MCP Apps does: a page with a sandboxed frame under the policy
// that hosts set, which shakes hands, hands over what the demo server answered, and passes calls on to it. Narrow and
// wide, light and dark; axe-core looks, and so does the policy.
//   usage: node views.mjs ORIGIN API_KEY [FOLDER-FOR-PICTURES]
import { mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { becomes, open } from "./browser.mjs";

const [origin, key, pictures] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const wrong = [];
let looked = 0;
if (pictures) mkdirSync(pictures, { recursive: true });

const MIME = "text/html;profile=mcp-app";
const UI = { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: [MIME] } } };

function check(what, holds) {
  if (!holds) wrong.push(what);
}

/** What a view does in its own time: `holds` is asked until it says yes. */
async function comes(what, holds) {
  check(what, await becomes(holds));
}

/** A request to the server, of a client that declares the extension or not. */
async function send(method, params, capabilities = UI) {
  const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities };
  const name = params.name ?? params.uri;
  const headers = {
    authorization: `Bearer ${key}`, "content-type": "application/json", accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28", "mcp-method": method, ...(name ? { "mcp-name": name } : {}),
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } });
  const answer = await fetch(`${origin}/mcp/`, { method: "POST", headers, body });
  const { result, error } = await answer.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

const call = (name, given) => send("tools/call", { name, arguments: given });

// What the extension's text has a host set where a view declares no domains.
const POLICY = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
  + "media-src 'self' data:; connect-src 'none'; base-uri 'none'; form-action 'none'";

/** The script of the host's page. `given` is what it answers the handshake with. */
function hosting(given) {
  const frame = document.getElementById("view");
  globalThis.heard = [];
  const post = (message) => frame.contentWindow.postMessage({ jsonrpc: "2.0", ...message }, "*");
  let pings = 0;
  // Messages are taken in their order: a ping that is answered says that the view is done with what came before.
  globalThis.tell = (method, params) => {
    post({ method, params });
    const id = `ping ${(pings += 1)}`;
    post({ id, method: "ping" });
    return id;
  };
  addEventListener("message", async ({ source, data }) => {
    if (source !== frame.contentWindow) return;
    heard.push(data);
    const answer = (rest) => post({ id: data.id, ...rest });
    if (data.method === "ui/initialize") answer({ result: { protocolVersion: "2026-01-26", hostInfo: { name: "test", version: "1" }, ...given } });
    if (data.method === "tools/call") globalThis.passOn(data.params).then((result) => answer({ result }), (error) => answer({ error: { code: -32000, message: error.message } }));
    if (data.method === "ui/notifications/size-changed") frame.style.height = `${data.params.height}px`;
  });
  frame.src = "/view";
}

const views = new Map();
let html = "";
const server = createServer((request, response) => {
  const view = request.url === "/view";
  const body = view ? html : request.url === "/" ? "<!doctype html><title>host</title><body style='margin:0'><iframe id=view sandbox='allow-scripts' style='border:0;width:100%;height:200px;display:block'></iframe>" : "";
  response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...(view ? { "content-security-policy": POLICY } : {}) });
  response.end(body);
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const home = `http://127.0.0.1:${server.address().port}`;

/** A page of the host with the view at `uri` in its frame, which has shaken hands. */
async function host(uri, { width = 640, scheme = "light", serverTools = {} } = {}) {
  if (!views.has(uri)) views.set(uri, (await send("resources/read", { uri })).contents[0]);
  check(`${uri} is ${views.get(uri).mimeType}`, views.get(uri).mimeType === MIME);
  html = views.get(uri).text;
  const opened = await open({ width, scheme: "light" });
  const { page, context } = opened;
  page.on("console", (message) => message.type() === "error" && wrong.push(`${uri}: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`${uri}: ${error}`));
  page.on("request", (request) => request.url().startsWith(home) || wrong.push(`${uri} asks for ${request.url()}`));
  await context.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`blocked: ${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(home);
  await page.exposeFunction("passOn", ({ name, arguments: given }) => call(name, given));
  const hostContext = { theme: scheme, locale: "en-GB", timeZone: "UTC", displayMode: "inline" };
  await page.evaluate(hosting, { hostCapabilities: serverTools ? { serverTools } : {}, hostContext });
  await page.waitForFunction(() => globalThis.heard.some((message) => message.method === "ui/notifications/initialized"));
  const tell = async (method, params) => {
    const ping = await page.evaluate(([m, p]) => globalThis.tell(`ui/notifications/${m}`, p), [method, params]);
    await page.waitForFunction((id) => globalThis.heard.some((message) => message.id === id && message.result), ping);
  };
  return { ...opened, frame: page.frames().at(-1), tell };
}

/** Whatever a view must be, whichever it is. */
async function look({ page, frame }, name, { width, scheme }) {
  looked += 1;
  const at = `${name} (${width} px, ${scheme})`;
  const needed = () => frame.evaluate(() => document.documentElement.scrollHeight);
  await comes(`${at}: it asks for the height that it needs`, async () =>
    Math.abs((await page.locator("#view").evaluate((it) => it.clientHeight)) - (await needed())) <= 1);
  const wide = await frame.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) wrong.push(`${at}: ${wide} px too wide`);
  await frame.evaluate(axe);
  const found = await frame.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of found.violations) {
    wrong.push(`${at}: axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")}`);
  }
  if (!pictures) return;
  await page.setViewportSize({ width, height: await needed() });
  await page.screenshot({ path: `${pictures}/view-${name.replaceAll(/\W+/g, "-")}-${width}-${scheme}.png` });
}

// What is told to whom.
{
  const [declared, plain] = [await send("tools/list", {}), await send("tools/list", {}, {})];
  const uris = (tools) => tools.map((tool) => tool._meta?.ui?.resourceUri).filter(Boolean).sort().join(" ");
  check(`views of the tools: ${uris(declared.tools)}`, uris(declared.tools) === "ui://chaterimo/analytics ui://chaterimo/tickets");
  check("a client without the extension hears of no view", uris(plain.tools) === "" && !JSON.stringify(await send("resources/list", {}, {})).includes("ui://"));
}

const year = { period: "365d" };
const answers = {
  month: await call("get_analytics", {}),
  year: await call("get_analytics", year),
  refused: await call("get_analytics", { chatbot_id: 999_999 }),
  tickets: await call("list_tickets", { limit: 20 }),
};

for (const width of [280, 640, 1280]) {
  for (const scheme of ["light", "dark"]) {
    const options = { width, scheme };
    for (const name of ["month", "year", "refused"]) {
      const view = await host("ui://chaterimo/analytics", options);
      await view.tell("tool-input", { arguments: name === "year" ? year : {} });
      await view.tell("tool-result", answers[name]);
      await look(view, `analytics ${name}`, options);
      await view.browser.close();
    }
    const view = await host("ui://chaterimo/tickets", options);
    await view.tell("tool-input", { arguments: { limit: 20 } });
    await view.tell("tool-result", answers.tickets);
    await look(view, "tickets", options);
    await view.frame.getByRole("button", { name: "Load more" }).click();
    await view.frame.waitForFunction(() => document.querySelectorAll(".card").length === 40);
    await look(view, "tickets more", options);
    await view.frame.locator(".card").first().click();
    await view.frame.locator("#one h1").waitFor();
    await look(view, "ticket", options);
    await view.browser.close();
  }
}

// The chart, with the keyboard alone, says what the answer says.
{
  const view = await host("ui://chaterimo/analytics");
  await view.tell("tool-result", answers.month);
  const { series, totals, chatbots } = answers.month.structuredContent;
  const words = await view.frame.innerText("main");
  check("the total of sessions is shown", words.includes(totals.sessions.toLocaleString("en-GB")));
  check("each chatbot is ranked", (await view.frame.locator("#ranking li").count()) === chatbots.length && chatbots.length > 1);
  await comes("each day has its bar", async () => (await view.frame.locator("#chart rect").count()) === series.length);
  await view.frame.locator("#chart").focus();
  await view.page.keyboard.press("Home");
  await comes("the first day is read out", async () => (await view.frame.innerText("#readout")).includes(`: ${series[0].sessions.toLocaleString("en-GB")} sessions`));
  await view.frame.getByText("As a table").click();
  await comes("the table has each day", async () => (await view.frame.locator("tbody tr").count()) === series.length);
  await view.tell("host-context-changed", { theme: "dark" });
  const scheme = () => view.frame.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  await comes("the view follows the host into the dark", async () => (await scheme()) === "dark");
  await view.browser.close();
}

// A ticket whose words look like markup, which the caller has put into the store, is text; and what is not the host's is
// not heard.
{
  const view = await host("ui://chaterimo/tickets");
  await view.tell("tool-input", { arguments: { status: ["new"], limit: 5 } });
  await view.tell("tool-result", await call("list_tickets", { status: ["new"], limit: 5 }));
  const hostile = view.frame.locator(".card", { hasText: "<img src=x onerror=" });
  check("markup in a subject is text", (await hostile.count()) === 1 && (await view.frame.locator("img, a, iframe, svg").count()) === 0);
  check("the columns are those that were asked for", (await view.frame.locator("#board h2").count()) === 1);
  await hostile.focus();
  await view.page.keyboard.press("Enter");
  await view.frame.locator("#one h1").waitFor();
  await comes("the ticket is open, with the focus on its subject", async () => (await view.frame.evaluate(() => document.activeElement.textContent)).includes("<img src=x onerror="));
  check("markup in a message is text", (await view.frame.innerText(".thread")).includes("<script>") && (await view.frame.locator(".thread script").count()) === 0);
  await view.page.keyboard.press("Escape");
  await comes("Escape leads back to the card", () => hostile.evaluate((card) => card === document.activeElement));

  const before = await view.frame.innerText("main");
  await view.page.evaluate(() => {
    const frame = document.getElementById("view").contentWindow;
    for (const message of [null, 7, "x", [], {}, { jsonrpc: "2.0" }, { jsonrpc: "2.0", id: 99, result: {} }, { jsonrpc: "2.0", method: 5 },
      { jsonrpc: "1.0", method: "ui/notifications/tool-result", params: { content: [] } },
      { jsonrpc: "2.0", method: "ui/notifications/unheard-of", params: null }]) frame.postMessage(message, "*");
    const other = document.body.appendChild(document.createElement("iframe"));
    other.contentWindow.eval(`parent.frames[0].postMessage({ jsonrpc: "2.0", method: "ui/notifications/tool-result",
      params: { structuredContent: { tickets: [], next_cursor: null, total: 0 } } }, "*")`);
  });
  // What was sent before the ping that this ends with has been taken, or not.
  await view.tell("unheard-of", {});
  check("what is not the host's message changes nothing", (await view.frame.innerText("main")) === before);
  await view.browser.close();
}

// A host that passes no calls on: nothing to press that could not work.
{
  const view = await host("ui://chaterimo/tickets", { serverTools: null });
  await view.tell("tool-result", answers.tickets);
  check("no buttons without calls", (await view.frame.locator("button:visible").count()) === 0);
  await look(view, "tickets without calls", { width: 640, scheme: "light" });
  await view.browser.close();
}

server.close();
console.log(`${looked} views looked at`);
if (wrong.length) {
  console.error([...new Set(wrong)].join("\n"));
  process.exitCode = 1;
}
