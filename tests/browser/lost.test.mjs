// What the page says when nothing is heard any more, and that it goes on by itself when there is.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { axe, shot } from './browser.mjs';
import { Rig, sleep, until } from './rig.mjs';
import { setUp, signIn, word } from './signed.mjs';

describe('a connection that is lost', () => {
  let rig;
  let first;
  before(async () => {
    rig = await Rig.start();
    first = await setUp(rig);
    await first.page.goto(`${rig.base}/#/air`);
    await first.page.locator('.sound').waitFor();
  });
  after(async () => {
    await first?.close();
    await rig?.end();
  });

  it('is told within 3 s, greys what it shows, and is over when the box is heard again', { timeout: 120_000 }, async () => {
    const { page } = first;
    await until('it is fresh', 10_000, async () => (await word(page)) === 'STANDBY');
    const stopped = Date.now();
    rig.daemon.signal('SIGSTOP');
    await until('it is told', 10_000, async () => (await word(page)) === 'LOST');
    const took = Date.now() - stopped;
    console.log(`silence was told after ${took} ms`);
    assert.ok(took <= 3_500, `${took} ms`);
    assert.ok(await page.evaluate(() => document.documentElement.classList.contains('stale')));
    await page.getByText(/Connection to the box lost \d+ s ago/).waitFor();
    assert.match(await page.locator('.state .was').textContent(), /was STANDBY/);
    await shot(page, 'lost');
    assert.deepEqual(await axe(page), []);
    // Nothing that is shown as measured may look fresh.
    const fresh = await page.evaluate(() => [...document.querySelectorAll('.val')].filter((it) => it.offsetParent && getComputedStyle(it).fontStyle !== 'italic').length);
    assert.equal(fresh, 0);
    await sleep(30_000 - (Date.now() - stopped));
    assert.equal(await word(page), 'LOST');
    rig.daemon.signal('SIGCONT');
    const back = Date.now();
    await until('it is fresh again', 15_000, async () => (await word(page)) === 'STANDBY');
    console.log(`it was fresh again ${Date.now() - back} ms after the box was heard`);
    await page.getByText(/Connection to the box lost/).waitFor({ state: 'detached' });
  });

  it('a reload goes on where it was', { timeout: 60_000 }, async () => {
    await first.page.reload();
    await until('it is fresh', 10_000, async () => (await word(first.page)) === 'STANDBY');
  });

  it('a Regia that is started again is found again', { timeout: 120_000 }, async () => {
    rig.daemon.signal('SIGKILL');
    await rig.daemon.over;
    await until('it is told', 10_000, async () => (await word(first.page)) === 'LOST');
    await rig.run();
    await until('it is fresh again', 30_000, async () => (await word(first.page)) === 'STANDBY');
  });

  it('a browser that holds the desk and dies leaves it free within 15 s', { timeout: 120_000 }, async () => {
    const second = await signIn(rig);
    try {
      await until('the first has the desk', 10_000, () => second.page.getByText('admin holds the desk; you are watching.').isVisible());
      await shot(second.page, 'desk-held');
      assert.deepEqual(await axe(second.page), []);
      const died = Date.now();
      await first.close();
      first = null;
      await until('the desk is free', 20_000, async () => (await second.page.getByText('admin holds the desk').count()) === 0);
      const took = Date.now() - died;
      console.log(`the desk was free ${took} ms after its browser died`);
      assert.ok(took < 17_000);
    } finally {
      await second.close();
    }
  });
});
