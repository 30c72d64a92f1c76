// Walks every page as a person would: wide and narrow, light and dark, with and without scripts; looks with axe-core
// for what shuts people out, for anything that the policy blocked, and for pages wider than the screen.
//   usage: node pages.mjs ORIGIN EMAIL PASSWORD [FOLDER-FOR-PICTURES]
import { readFileSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { open, press, signIn } from "./browser.mjs";

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
    if (!request.url().startsWith(origin)) wrong.push(`${opened.page.url()} asks for ${request.url()}`);
  });
  await opened.page.goto(`${origin}/`);
  return opened;
}

function check(what, holds) {
  if (!holds) wrong.push(what);
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
  await page.goto(`${origin}/keys`);
  check("a key is shown once", !/cha_\w{49}/.test(await page.innerText("main")));
  await page.goto(`${origin}/sessions`);
  check("the log has rows or says that it is empty", (await page.innerText("main")).length > 40);
  await press(page, "Sign out");
  await page.goto(`${origin}/keys`);
  check("signed out is signed out", new URL(page.url()).pathname === "/login");
  await browser.close();
}

// The keyboard alone: the first stop skips to the content, each stop is seen.
{
  const { browser, page } = await person();
  await signIn(page, email, password);
  await page.keyboard.press("Tab");
  check("the first stop of the keyboard skips the menu", (await page.evaluate(() => document.activeElement.className)) === "skip");
  await page.keyboard.press("Enter");
  check("skipping leads to the content", (await page.evaluate(() => document.activeElement.id)) === "main");
  await browser.close();
}

console.log(`${looked} pages looked at`);
if (wrong.length) {
  console.error([...new Set(wrong)].join("\n"));
  process.exitCode = 1;
}
