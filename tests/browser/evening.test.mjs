// The operator's whole evening, against a real Regia: first password, a source and a destination, a rehearsal, on air, takes, a
// lower third, a pulled uplink, the end, the report. With a pointer at three sizes, and once by keyboard alone.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SIZES, axe, cutOff, open, shot } from './browser.mjs';
import { Keyboard, Pointer } from './hands.mjs';
import { PASSWORD, Rig, until } from './rig.mjs';

const EVENINGS = [
  // The whole of it against `regia demo`; the others against a smaller picture and a configuration of their own.
  ['desktop', Pointer, 'demo'],
  ['tablet', Pointer],
  ['phone', Pointer],
  ['desktop', Keyboard],
].filter(([size, Hands]) => !process.env.ONLY || process.env.ONLY === `${size}-${Hands.name.toLowerCase()}`);

for (const [size, Hands, program] of EVENINGS) {
  describe(`an evening at ${SIZES[size].width}×${SIZES[size].height} by ${Hands.name.toLowerCase()}`, () => {
    it('goes from the first password to the report', { timeout: 600_000 }, () => evening(size, Hands, program));
  });
}

async function evening(size, Hands, program) {
  const rig = await (program === 'demo' ? Rig.demo() : Rig.start());
  const first = rig.isDemo ? 'Wide' : 'House';
  const { page, errors, close } = await open(SIZES[size]);
  const hands = new Hands(page);
  const tag = `${size}-${hands.name}`;
  const wrong = [];
  let number = 0;

  /** A picture of the screen as it is, and what is wrong with it for people who can't see it or use it in their way. */
  async function look(name) {
    await page.waitForTimeout(400);
    number += 1;
    await shot(page, `${tag}-${String(number).padStart(2, '0')}-${name}`);
    for (const line of await axe(page)) wrong.push(`${name}: ${line}`);
    for (const line of await cutOff(page)) wrong.push(`${name}: ${line}`);
  }

  const word = () => page.locator('.state').getAttribute('data-state');
  const state = (wanted, within = 30_000) => until(`the word is ${wanted}`, within, async () => wanted.includes(await word()));
  const button = (name) => page.getByRole('button', { name }).and(page.locator(':visible')).first();
  const link = (name) => page.getByRole('link', { name }).and(page.locator(':visible')).first();
  const dialog = page.locator('dialog[open]');

  async function goTo(screen) {
    const direct = page.locator(`nav a[href="#/${screen}"]:visible`);
    if ((await direct.count()) === 0) {
      await hands.press(page.locator('nav.tabs button'));
      await hands.press(dialog.locator(`a[href="#/${screen}"]`));
    } else await hands.press(direct.first());
    await page.waitForFunction((wanted) => location.hash.startsWith(`#/${wanted}`), screen);
    await page.locator('h1').first().waitFor({ state: 'attached' });
  }

  try {
    // The one-time link.
    await page.goto(rig.link);
    await button(/Set the password/).waitFor();
    await look('setup');
    await hands.type(page.getByLabel('Password', { exact: true }), PASSWORD);
    await hands.type(page.getByLabel('Once more'), 'not the same');
    await hands.press(button(/Set the password/));
    await page.getByText('The two are not the same').waitFor();
    await hands.type(page.getByLabel('Once more'), PASSWORD);
    await hands.press(button(/Set the password/));
    await state(['STANDBY']);
    await look('before-nowhere');

    // The link is used up; the password is what lets in.
    await hands.press(page.locator('.you'));
    await look('you');
    await hands.press(dialog.getByRole('button', { name: 'Sign out' }));
    await button(/^Sign in/).waitFor();
    await hands.type(page.getByLabel('User'), 'admin');
    await hands.type(page.getByLabel('Password'), 'wrong');
    await hands.press(button(/^Sign in/));
    await page.getByRole('alert').filter({ hasText: /./ }).waitFor();
    await look('login');
    await hands.type(page.getByLabel('User'), 'admin');
    await hands.type(page.getByLabel('Password'), PASSWORD);
    await hands.press(button(/^Sign in/));
    await state(['STANDBY']);

    // A source.
    await goTo('sources');
    await hands.press(link(/Add a source/));
    await hands.type(dialog.getByLabel('Name', { exact: true }), 'stage');
    await hands.choose(dialog.getByLabel('Kind', { exact: true }), 'test');
    await look('source-add');
    await hands.press(dialog.getByRole('button', { name: 'Save and test' }));
    const mixer = (await page.request.get(`${rig.base}/api/v1/scenes`)).ok();
    if (mixer) await dialog.getByText('live', { exact: true }).waitFor({ timeout: 40_000 });
    else missing('the new source live: without a mixer only the first scene’s sources run');
    await look('source-live');
    await hands.press(dialog.getByRole('button', { name: 'Done' }));
    await look('sources');
    if (!rig.isDemo) assert.match(rig.configured(), /# until the cameras are there/, 'comments stay');
    assert.match(rig.configured(), /id = "stage"/);

    // Two destinations: a rehearsal, and one far away over the uplink.
    if (rig.isDemo && rig.cable) {
      // The demo knows no uplink: it is told in the file itself.
      await page.goto(`${rig.base}/#/system/config`);
      const text = page.getByRole('textbox', { name: 'Configuration' });
      await text.waitFor();
      await text.fill((await text.inputValue()) + rig.uplink);
      await hands.press(button(/^Save/));
      await until('the uplink is in the file', 10_000, () => rig.configured().includes('fibre'));
      await look('configuration-saved');
    }
    await goTo('destinations');
    if (!rig.isDemo) {
      await look('destinations-none');
      await hands.press(link(/Add the rehearsal/));
      await hands.type(dialog.getByLabel('Server', { exact: true }), rig.rehearsalServer);
      await hands.type(dialog.getByLabel('Stream key'), 'rehearsal-key-1');
      await look('destination-add');
      await hands.press(dialog.getByRole('button', { name: 'Save' }));
    }
    await page.getByRole('heading', { name: 'Rehearsal' }).waitFor();
    if (rig.cable) {
      await hands.press(link(/Add a destination/));
      await hands.choose(dialog.getByLabel('Platform', { exact: true }), 'custom');
      await hands.type(dialog.getByLabel('Name', { exact: true }), 'own');
      await hands.type(dialog.getByLabel('Server', { exact: true }), rig.farServer);
      await hands.type(dialog.getByLabel('Stream key'), 'own-key-2');
      await hands.press(dialog.locator('summary'));
      await hands.type(dialog.getByLabel('Uplinks, in order of preference'), 'fibre');
      await hands.press(dialog.getByRole('button', { name: 'Save' }));
      await page.getByRole('heading', { name: 'Own' }).waitFor();
    }
    await look('destinations');
    assert.doesNotMatch(await page.content(), /rehearsal-key-1|own-key-2/, 'keys never come out');
    assert.doesNotMatch(rig.configured(), /rehearsal-key-1|own-key-2/, 'keys are in slots');

    // Pre-flight, and a rehearsal.
    await goTo('before');
    await page.locator('.verdict').waitFor({ timeout: 60_000 });
    await look('before');
    await hands.press(button(/^Rehearse/));
    await state(['CONNECTING', 'REHEARSAL']);
    await state(['REHEARSAL']);
    await goTo('air');
    await look('rehearsal');
    await hands.hold(button(/^End/));
    await state(['ENDED', 'STANDBY']);

    // On air.
    await goTo('before');
    await page.locator('.verdict').waitFor({ timeout: 60_000 });
    await hands.press(button(/^Go live/));
    await look('go-live');
    if (!rig.cable) await hands.press(dialog.getByRole('checkbox').first());
    const why = dialog.getByLabel('Why start all the same?');
    if (await why.isVisible()) await hands.type(why, 'the doors are open');
    await hands.hold(dialog.getByRole('button', { name: /^Go live/ }));
    await state(rig.cable ? ['ON AIR', 'ON AIR, DEGRADED'] : ['REHEARSAL', 'CONNECTING']);
    if (rig.cable) await state(['ON AIR']);
    await goTo('air');
    await page.locator('video:not(.hidden)').waitFor({ timeout: 20_000 });
    await look('on-air');

    // Takes and a lower third, where there is a mixer.
    if (mixer) {
      await hands.press(page.locator('.scenes button', { hasText: 'Stage' }));
      await page.locator('.scenes button.green', { hasText: 'Stage' }).waitFor();
      await look('preview');
      await hands.press(button(/^CUT/));
      await page.locator('.scenes button.on', { hasText: 'Stage' }).waitFor();
      await hands.press(button(/^FADE/));
      await page.locator('.scenes button.on', { hasText: first }).waitFor();
      await look('taken');
      if (size === 'desktop') {
        // The same by the keys of the screen.
        await page.evaluate(() => document.activeElement?.blur());
        const second = await page.locator('.scenes .name').nth(1).textContent();
        await page.keyboard.press('2');
        await page.keyboard.press('Enter');
        await page.locator('.scenes button.on', { hasText: second.replace(/\d|NEXT|ON AIR/g, '').trim() }).waitFor();
      }
      await hands.press(button(/^Lower third/));
      await hands.type(dialog.getByLabel('Line 1'), 'Zuzana Nováková');
      await hands.press(dialog.getByRole('button', { name: 'Put on' }));
      await dialog.getByText('in the picture').waitFor();
      await look('lower-third');
      await hands.press(dialog.getByRole('button', { name: 'Close' }));
      await page.waitForTimeout(1_200);
      await look('lower-third-on-air');
      await hands.press(button(/^Take off/));
    } else {
      missing('takes and lower third: this Regia has no mixer');
    }

    // A marker.
    await hands.press(button(/^Marker/));
    await hands.type(dialog.getByLabel('What happened'), 'applause');
    await hands.press(dialog.getByRole('button', { name: 'Mark' }));
    await page.locator('.log', { hasText: 'Marked: applause' }).waitFor();

    // Somebody pulls the cable.
    if (rig.cable) {
      const gauge = page.locator('.delivery article', { hasText: 'Own' }).getByRole('meter');
      const pulled = Date.now();
      rig.cable.pull();
      await until('the word changes', 10_000, async () => (await word()) !== 'ON AIR');
      const took = Date.now() - pulled;
      console.log(`${tag}: the word changed ${took} ms after the cable was pulled`);
      await until('the gauge counts', 15_000, async () => Number(await gauge.getAttribute('aria-valuenow')) >= 3);
      await look('uplink-cut');
      await goTo('network');
      await look('network');
      await goTo('air');
      rig.cable.plug();
      await state(['ON AIR'], 40_000);
      await until('the hold is caught up', 60_000, async () => Number(await gauge.getAttribute('aria-valuenow')) <= 1);
      await look('uplink-back');
      assert.ok(took < 2_000, `the word changed after ${took} ms`);
    } else missing('a pulled cable: only root can lay one');

    // Further screens, on air.
    for (const screen of ['scenes', 'recordings', 'schedule', 'users', 'system', 'phone']) {
      if (screen === 'schedule' && !(await page.request.get(`${rig.base}/api/v1/schedule`)).ok()) continue;
      await goTo(screen === 'phone' && size !== 'phone' ? 'air' : screen);
      if (screen === 'phone' && size !== 'phone') await page.goto(`${rig.base}/#/phone`);
      if (screen === 'scenes' && mixer) await hands.press(page.locator('.list a').first());
      await page.waitForTimeout(600);
      await look(screen);
    }
    await page.goto(`${rig.base}/#/system/config`);
    await page.getByRole('textbox', { name: 'Configuration' }).waitFor();
    await look('configuration');
    await page.goto(`${rig.base}/#/system/log`);
    await look('log');
    await page.goto(`${rig.base}/#/tally`);
    await page.getByRole('heading', { name: 'ON AIR' }).waitFor();
    await look('tally');
    await page.goto(`${rig.base}/#/air`);
    await state(['ON AIR', 'REHEARSAL']);

    // The end.
    await hands.hold(button(/^End/));
    await state(['ENDING', 'ENDED']);
    await look('ending');
    await state(['ENDED', 'STANDBY'], 60_000);
    await goTo('after');
    await page.locator('.totals').waitFor();
    await look('after');
    const report = await page.getByRole('link', { name: 'Whole report' }).getAttribute('href');
    const answer = await page.request.get(new URL(report, rig.base).href);
    assert.equal(answer.status(), 200);
    if (rig.cable) assert.match(await answer.text(), /applause/);

    assert.deepEqual(wrong, []);
    assert.deepEqual(errors, []);
  } catch (error) {
    await shot(page, `${tag}-failed`).catch(() => {});
    console.log(`${tag}: ${wrong.join('\n')}\n${errors.join('\n')}`);
    throw error;
  } finally {
    await close();
    await rig.end();
  }
}

function missing(what) {
  console.log(`SKIPPED: ${what}`);
  if (process.env.CI === 'true') assert.fail(what);
}
