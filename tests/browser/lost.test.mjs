// What the page says when nothing is heard any more, and that it goes on by itself when there is.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { axe, shot } from './browser.mjs';
import { Network, Rig, sleep, until } from './rig.mjs';
import { setUp, signIn, word } from './signed.mjs';

describe('a connection that is lost', () => {
  let rig;
  let first;
  before(async () => {
    rig = await Rig.start({ sources: 2 });
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

  /** Each frame that the page draws: what it says is on air, and whether that may be believed. */
  const record = (page) =>
    page.evaluate(() => {
      window.drawn = [];
      const look = () => {
        const scene = document.querySelector('.scenes button.on .ellipsis')?.textContent.toLowerCase();
        window.drawn.push({ at: Date.now(), scene, stale: document.documentElement.classList.contains('stale') });
        requestAnimationFrame(look);
      };
      look();
    });

  // A frozen page of Chromium's own making (Page.setWebLifecycleState) goes on drawing while it is visible: tried.
  it('a page whose machine slept shows nothing old as new when it wakes', { timeout: 120_000 }, async () => {
    const { page } = first;
    const asleep = 30_000;
    rig.take('house');
    await page.goto(`${rig.base}/#/air`);
    await until('it is fresh', 10_000, async () => (await word(page)) === 'STANDBY');
    await until('the scene is shown', 10_000, async () => (await shownScene(page)).includes('house'));
    await record(page);
    await sleep(500);
    const renderers = first.processes('--type=renderer');
    assert.ok(renderers.length > 0);
    renderers.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    await sleep(asleep / 2);
    rig.take('bars');
    await sleep(asleep / 2);
    renderers.forEach((pid) => process.kill(pid, 'SIGCONT'));
    const woke = Date.now();
    await until('it is fresh again', 15_000, async () => (await shownScene(page)).includes('bars'));
    const took = Date.now() - woke;
    const drawn = await page.evaluate(() => window.drawn);
    const longest = Math.max(...drawn.map((it, n) => (n ? it.at - drawn[n - 1].at : 0)));
    assert.ok(longest > asleep - 2_000, `it drew nothing for ${longest} ms only`);
    // The frame that is drawn first may be older than any script's chance to change it.
    const old = drawn.filter((it) => it.at >= woke && !it.stale && it.scene?.includes('house'));
    const oldest = old.length ? old.at(-1).at - woke : 0;
    console.log(`after ${longest} ms of sleep what is was shown ${took} ms after it woke; what was looked new for ${oldest} ms`);
    assert.ok(oldest <= 1_000, `${oldest} ms`);
    assert.ok(took <= 10_000, `${took} ms`);
  });

  it('a network that is gone for 30 s is told within 3 s, and what comes late is not taken for news', { timeout: 120_000 }, async () => {
    const network = await Network.to(Number(new URL(rig.base).port));
    const far = await signIn(rig, undefined, network.base);
    try {
      const { page } = far;
      rig.take('house');
      await page.goto(`${network.base}/#/air`);
      await until('the scene is shown', 10_000, async () => (await shownScene(page)).includes('house'));
      await record(page);
      const cut = Date.now();
      network.cut();
      await until('it is told', 10_000, async () => (await word(page)) === 'LOST');
      const told = Date.now() - cut;
      rig.take('bars');
      await sleep(30_000 - (Date.now() - cut));
      assert.equal(await word(page), 'LOST');
      network.mend();
      const back = Date.now();
      await until('it is fresh again', 15_000, async () => (await word(page)) === 'STANDBY' && (await shownScene(page)).includes('bars'));
      console.log(`a network that is gone was told after ${told} ms, and was over ${Date.now() - back} ms after it was back`);
      assert.ok(told <= 3_500, `${told} ms`);
      const drawn = await page.evaluate(() => window.drawn);
      const old = drawn.filter((it) => it.at >= back && !it.stale && it.scene?.includes('house'));
      assert.ok(old.length <= 2, `${old.length} pictures of what was`);
    } finally {
      await far.close();
      network.end();
    }
  });

  it('a browser that holds the desk and is killed costs the air nothing, and leaves the desk free within 15 s', { timeout: 180_000 }, async () => {
    const second = await signIn(rig);
    try {
      await until('the first has the desk', 10_000, () => second.page.getByText('admin holds the desk; you are watching.').isVisible());
      await shot(second.page, 'desk-held');
      assert.deepEqual(await axe(second.page), []);
      await goLive(first.page, rig);
      await until('it is on air', 30_000, () => rig.status().destinations[0]?.state === 'on_air');
      await sleep(2_000);
      const before = rig.status();
      const died = Date.now();
      await first.kill();
      first = null;
      await until('the desk is free', 20_000, async () => (await second.page.getByText('admin holds the desk').count()) === 0);
      const took = Date.now() - died;
      const now = rig.status();
      const [was, is] = [before.destinations[0], now.destinations[0]];
      console.log(
        `the desk was free ${took} ms after its browser was killed; meanwhile ${(is.delivered_s - was.delivered_s).toFixed(1)} s were delivered, ` +
          `${is.shed_units} units shed, ${is.reconnects} reconnects, ${now.dropped_frames - before.dropped_frames} frames left out`,
      );
      assert.ok(took < 17_000);
      assert.equal(now.state, before.state);
      assert.equal(now.engine_pid, before.engine_pid);
      assert.deepEqual([is.state, is.shed_units, is.reconnects, is.error], ['on_air', 0, 0, null]);
      assert.ok(is.delivered_s - was.delivered_s > took / 1000 - 3);
    } finally {
      await second.close();
    }
  });
});

/** The scene that the page says is on air. */
const shownScene = (page) => page.evaluate(() => document.querySelector('.scenes button.on .ellipsis')?.textContent.toLowerCase() ?? '');

/** To the rehearsal ingest, through the API as this page has it. */
async function goLive(page, rig) {
  const answers = await page.evaluate(async (server) => {
    const { csrf } = await (await fetch('/api/v1/me')).json();
    const headers = { 'X-Regia-CSRF': csrf, 'Content-Type': 'application/json' };
    const send = async (method, path, body) => {
      const answer = await fetch(`/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
      return `${answer.status} ${answer.ok ? '' : await answer.text()}`;
    };
    return [
      await send('PUT', '/config/destination/rehearsal', { platform: 'rehearsal', server, key: 'anything' }),
      await send('POST', '/live/start', { anyway: 'a test' }),
    ];
  }, rig.rehearsalServer);
  assert.deepEqual(answers, ['200 ', '200 ']);
}
