// Signs in and revokes every connected app.   usage: node revoke.mjs URL-OF-THE-PAGE     (EMAIL, PASSWORD)
import { open, press, signIn } from "./browser.mjs";

const url = process.argv.at(-1);
const { browser, page } = await open();
try {
  await page.goto(url);
  await signIn(page, process.env.EMAIL, process.env.PASSWORD);
  let left = await page.locator("form[action$='/revoke']").count();
  if (left === 0) throw new Error("no app is connected");
  while (left > 0) {
    for (const details of await page.locator("details:has(form[action$='/revoke'])").all()) {
      await details.evaluate((element) => { element.open = true; });
    }
    await press(page, /revoke/i);
    left = await page.locator("form[action$='/revoke']").count();
  }
} catch (error) {
  console.error(`revoke: ${error.message}\nat ${page.url()}\n${await page.innerText("body").catch(() => "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
