// What a client calls in place of a browser: opens the authorization URL, signs in, allows, and follows the redirect
// back to the client.   usage: node authorize.mjs URL
// Environment: EMAIL and PASSWORD of the person; SHOT, a file for a picture of the consent page; DENY=1 cancels;
// READ_ONLY=1 leaves out what changes things; PAUSE, a shell command run while the consent page is open.
import { execSync } from "node:child_process";
import { open, signIn } from "./browser.mjs";

const url = process.argv.at(-1);
const { browser, page } = await open();
try {
  const refused = [];
  page.on("console", (message) => message.type() === "error" && refused.push(message.text()));
  await page.goto(url);
  if (await page.locator("input[name=password]").count()) {
    await signIn(page, process.env.EMAIL, process.env.PASSWORD);
  }
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT, fullPage: true });
  if (process.env.PAUSE) execSync(process.env.PAUSE, { stdio: "inherit" });
  if (process.env.READ_ONLY) await page.uncheck("input[name=write]");
  const button = page.getByRole("button", { name: process.env.DENY ? "Cancel" : "Authorize", exact: false }).first();
  // A page that refuses has nothing to click, and is what some callers want to see.
  if (!(await button.count())) throw new Error("the page leads nowhere");
  await button.click();
  await page.waitForURL((now) => !now.href.startsWith(new URL(url).origin));
  await page.waitForLoadState("load").catch(() => {});
  console.log(`returned to ${page.url().replace(/[?#].*/, "")}`);
  if (refused.some((text) => text.includes("Content Security Policy"))) throw new Error(refused.join("\n"));
} catch (error) {
  console.error(`authorize: ${error.message}\nat ${page.url().replace(/[?#].*/, "")}\n${await page.innerText("body").catch(() => "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
