// Walks every page as a person would: wide and narrow, light and dark, with and without scripts; looks with axe-core
// for what shuts people out, for anything that the policy blocked, and for pages wider than the screen.
//   usage: node pages.mjs ORIGIN EMAIL PASSWORD [FOLDER-FOR-PICTURES]
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { becomes, open, press, signIn } from "./browser.mjs";

const [origin, email, password, pictures] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const wrong = [];
let looked = 0;
if (pictures) mkdirSync(pictures, { recursive: true });

/** Whatever a page must have, whichever it is. */
async function look(page, name, { width, scheme }) {
  looked += 1;
  const at = `${name} (${width} px, ${scheme})`;
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 0) wrong.push(`${at}: ${wide} px wider than the screen`);
  if ((await page.locator("h1").count()) !== 1) wrong.push(`${at}: not one h1`);
  // The policy lets no foreign script in, axe neither: it is run by the debugger.
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of found.violations) {
    wrong.push(`${at}: axe ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")}`);
  }
  if (pictures) await page.screenshot({ path: `${pictures}/${name.replaceAll(/\W+/g, "-")}-${width}-${scheme}.png`, fullPage: true });
}

/** Opens a browser that notes what its pages complain of, and signs in. */
async function person(options = {}) {
  const opened = await open(options);
  opened.page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) wrong.push(`${opened.page.url()}: ${message.text()}`);
  });
  opened.page.on("pageerror", (error) => wrong.push(`${opened.page.url()}: ${error}`));
  opened.page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.isNavigationRequest()) wrong.push(`${opened.page.url()} asks for ${request.url()}`);
  });
  await opened.page.goto(`${origin}/`);
  return opened;
}

function check(what, holds) {
  if (!holds) wrong.push(what);
}

/** An app that registers itself, and its little server that people come back to. */
class App {
  static async open() {
    const app = new App();
    app.server = createServer((_, response) => response.end("<!doctype html><title>back</title>"));
    await new Promise((ready) => app.server.listen(0, "127.0.0.1", ready));
    app.callback = `http://127.0.0.1:${app.server.address().port}/callback`;
    app.verifier = randomBytes(48).toString("base64url");
    const made = await fetch(`${origin}/register`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ client_name: "A browser's <b>test</b>", redirect_uris: [app.callback], token_endpoint_auth_method: "none" }),
    });
    app.id = (await made.json()).client_id;
    return app;
  }

  /** The URL that the app has its person open. */
  question() {
    const challenge = createHash("sha256").update(this.verifier).digest("base64url");
    return `${origin}/authorize?${new URLSearchParams({
      response_type: "code", client_id: this.id, redirect_uri: this.callback, state: "kept as it is", code_challenge: challenge,
      code_challenge_method: "S256", scope: "mcp:read mcp:write", resource: `${origin}/mcp/`,
    })}`;
  }

  async redeem(code) {
    const answer = await fetch(`${origin}/token`, {
      method: "POST",
      body: new URLSearchParams({ grant_type: "authorization_code", code, client_id: this.id, code_verifier: this.verifier, redirect_uri: this.callback }),
    });
    this.token = (await answer.json()).access_token;
  }

  /** How many tools it sees, or the status that it is refused with. */
  async tools() {
    const answer = await this.send("tools/list", {});
    return answer.ok ? (await answer.json()).result.tools.length : answer.status;
  }

  /** Calls a tool, whatever comes of it. */
  async call(name, given) {
    await (await this.send("tools/call", { name, arguments: given }, { "mcp-name": name })).text();
  }

  send(method, params, more = {}) {
    const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} };
    return fetch(`${origin}/mcp/`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.token}`, "content-type": "application/json", accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28", "mcp-method": method, ...more,
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: meta } }),
    });
  }

  close() {
    this.server.close();
  }
}

/** The paths that the menu leads to, and one page of a chatbot. */
const PLACES = (process.env.PLACES ?? "/ /chatbots /chatbots/1 /sessions /apps /keys /connect /members /account").split(" ");

for (const width of [1280, 360]) {
  for (const scheme of ["light", "dark"]) {
    const { browser, page } = await person({ width, scheme });
    await look(page, "sign-in", { width, scheme });
    await signIn(page, email, "wrong password");
    await look(page, "sign-in refused", { width, scheme });
    await signIn(page, email, password);
    for (const place of PLACES) {
      const answer = await page.goto(origin + place);
      check(`${place}: ${answer.status()}`, answer.ok());
      await look(page, place === "/" ? "overview" : place.slice(1), { width, scheme });
    }
    await page.goto(`${origin}/nothing-here`);
    await look(page, "nothing here", { width, scheme });
    await browser.close();
  }
}

// What people do, without scripts.
{
  const { browser, page } = await person({ scripts: false });
  await signIn(page, email, password);
  check("signing in leads to the overview", new URL(page.url()).pathname === "/");
  await page.goto(`${origin}/keys`);
  await page.fill("input[name=label]", "Anna's <laptop> & desk");
  await press(page, "Make the key");
  check("a new key is shown", /cha_\w{49}/.test(await page.innerText("main")));
  check("a label is shown as it was given", (await page.innerText("main")).includes("Anna's <laptop> & desk"));
  await page.reload();
  check("reloading makes no second key", (await page.innerText("main")).includes("This form was sent already"));
  await page.goto(`${origin}/keys`);
  check("a key is shown once", !/cha_\w{49}/.test(await page.innerText("main")));
  await page.goto(`${origin}/sessions`);
  check("the log has rows or says that it is empty", (await page.innerText("main")).length > 40);
  await press(page, "Sign out");
  await page.goto(`${origin}/keys`);
  check("signed out is signed out", new URL(page.url()).pathname === "/login");
  await browser.close();
}

// An app asks, on screens of both widths: once it is told no, once yes; the redirect after the form must get through.
const app = await App.open();
for (const [decision, options] of [["Cancel", { width: 360, scheme: "dark" }], ["Authorize", { width: 1280, scheme: "light" }]]) {
  const { browser, page } = await person(options);
  await signIn(page, email, password);
  await page.goto(app.question());
  await look(page, `consent ${decision}`, options);
  await page.getByRole("button", { name: decision }).click();
  await page.waitForURL(`${app.callback}**`);
  const answer = new URL(page.url()).searchParams;
  check(`${decision} leads back to the app: ${page.url()}`, decision === "Cancel" ? answer.get("error") === "access_denied" : answer.has("code"));
  check("the answer names its issuer and the app's state", answer.get("iss") === origin && answer.get("state") === "kept as it is");
  if (answer.has("code")) await app.redeem(answer.get("code"));
  await page.goto(`${origin}/apps`);
  await look(page, `apps after ${decision}`, options);
  await browser.close();
}
check("an app that was allowed reads and writes", (await app.tools()) === 19);
// A row of the log is a card on a phone: what matters is on the screen.
await app.call("list_chatbots", {});
await app.call("get_chatbot", { chatbot_id: 1 });
await app.call("update_chatbot_model", { chatbot_id: 1, model: "none of these" });
for (const options of [{ width: 360, scheme: "light" }, { width: 1280, scheme: "dark" }]) {
  const { browser, page } = await person(options);
  await signIn(page, email, password);
  await page.goto(`${origin}/sessions`);
  await look(page, "sessions with calls", options);
  const ends = await page.locator("table.log tbody .tag, table.log tbody .name").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().right));
  check("every tool and outcome is on the screen", ends.length > 1 && ends.every((end) => end <= options.width));
  await page.goto(origin);
  await look(page, "overview with calls", options);
  await browser.close();
}

// Its person narrows it, then ends it, without scripts.
{
  const { browser, page } = await person({ scripts: false });
  await signIn(page, email, password);
  await page.goto(`${origin}/apps`);
  await page.locator("summary", { hasText: "Narrow" }).first().click();
  await page.check("input[name=read_only]");
  await press(page, /narrow/i);
  check("a narrowed app only reads", (await app.tools()) === 12);
  await page.goto(`${origin}/apps`);
  await page.locator("summary", { hasText: "Disconnect" }).first().click();
  await press(page, /disconnect/i);
  check("a disconnected app is refused", (await app.tools()) === 401);

  await page.goto(`${origin}/chatbots/1`);
  const before = await page.innerText("main");
  await press(page, /undo this change/i);
  check("undoing makes a new version", /Version 3/.test(await page.innerText("main")) && !/Version 3/.test(before));
  await browser.close();
}
// The connector of claude.ai, which is known by its document and returns to a website: the program brings the document,
// and the policy of the consent page lets the redirect through to that site.
{
  const { browser, page } = await person();
  await page.route("https://claude.ai/**", (route) => route.fulfill({ contentType: "text/html", body: "<title>claude.ai</title>" }));
  await signIn(page, email, password);
  const claude = { ...app, id: "https://claude.ai/oauth/mcp-oauth-client-metadata", callback: "https://claude.ai/api/mcp/auth_callback" };
  await page.goto(App.prototype.question.call(claude));
  check("the page names the host that answers for the app", (await page.innerText("main")).includes("claude.ai"));
  await page.getByRole("button", { name: "Authorize" }).click();
  await page.waitForURL("https://claude.ai/api/mcp/auth_callback**");
  await App.prototype.redeem.call(claude, new URL(page.url()).searchParams.get("code"));
  check("claude.ai gets its token", claude.token?.startsWith("mat_"));
  await browser.close();
}
app.close();

// The keyboard alone: the first stop skips to the content, each stop is seen.
{
  const { browser, page } = await person();
  await signIn(page, email, password);
  await page.keyboard.press("Tab");
  check("the first stop of the keyboard skips the menu", await becomes(() => page.evaluate(() => document.activeElement.className === "skip")));
  await page.keyboard.press("Enter");
  check("skipping leads to the content", await becomes(() => page.evaluate(() => document.activeElement.id === "main")));
  await browser.close();
}

console.log(`${looked} pages looked at`);
if (wrong.length) {
  console.error([...new Set(wrong)].join("\n"));
  process.exitCode = 1;
}
