// A browser that has been through the first password.

import { open, SIZES } from './browser.mjs';
import { PASSWORD, until } from './rig.mjs';

export const word = (page) => page.locator('.state').getAttribute('data-state', { timeout: 2_000 });

export async function setUp(rig, size = SIZES.desktop) {
  const browser = await open(size);
  await browser.page.goto(rig.link);
  await browser.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await browser.page.getByLabel('Once more').fill(PASSWORD);
  await browser.page.getByRole('button', { name: /Set the password/ }).click();
  await until('the panel is there', 30_000, async () => (await word(browser.page)) === 'STANDBY');
  return browser;
}

/** `base`: by another way than the direct one. */
export async function signIn(rig, size = SIZES.desktop, base = rig.base) {
  const browser = await open(size);
  await browser.page.goto(base);
  await browser.page.getByLabel('User').fill('admin');
  await browser.page.getByLabel('Password').fill(PASSWORD);
  await browser.page.getByRole('button', { name: /^Sign in/ }).click();
  await browser.page.locator('.state').waitFor();
  return browser;
}
