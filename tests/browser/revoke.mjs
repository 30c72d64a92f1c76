// Signs in and revokes every connected app.   usage: node revoke.mjs URL-OF-THE-PAGE     (EMAIL, PASSWORD)
import { open, signIn } from "./browser.mjs";

const url = process.argv.at(-1);
const { browser, page } = await open();
try {
  await page.goto(url);
  await signIn(page, process.env.EMAIL, process.env.PASSWORD);
  const forms = page.locator("form[action^='/apps/'][action$='/revoke']");
  if ((await forms.count()) === 0) throw new Error("no app is connected");
  while (await forms.count()) {
    await page.locator("details:has(form[action$='/revoke'])").first().evaluate((details) => { details.open = true; });
    await Promise.all([page.waitForEvent("load"), forms.first().getByRole("button").click()]);
  }
} catch (error) {
  console.error(`revoke: ${error.message}\nat ${page.url()}\n${await page.innerText("body").catch(() => "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
