// A headless Chromium that keeps its cookies, and the ways through the pages that several scripts take.
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** A browser with one empty profile. `width`, `scheme` ("light" or "dark") and `scripts` are what a page sees of it. */
export async function open({ width = 1280, height = 900, scheme = "light", scripts = true, zone = "Europe/Berlin" } = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: scheme, javaScriptEnabled: scripts, timezoneId: zone, locale: "en-GB",
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  // A machine that does much else at the time is slow, and not wrong.
  page.setDefaultTimeout(60_000);
  return { browser, context, page };
}

/** Fills in the sign-in page that `page` shows. */
export async function signIn(page, email, password) {
  await page.fill("input[name=email]", email);
  await page.fill("input[name=password]", password);
  await Promise.all([page.waitForEvent("load"), page.click("main form button")]);
}

/** Clicks what sends a form, and waits for the page that comes of it. */
export async function press(page, name) {
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name }).first().click()]);
}

/** Whether `holds` says yes within ten seconds; it is asked again and again, for pages do things in their own time. */
export async function becomes(holds) {
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((later) => setTimeout(later, 20))) {
    if (await holds()) return true;
  }
  return false;
}
