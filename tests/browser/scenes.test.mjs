// The scene editor under a hand: layers are dragged, and what it does not show stays as it was.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { axe, shot } from './browser.mjs';
import { Rig, until } from './rig.mjs';
import { setUp } from './signed.mjs';

const PIP = {
  layers: [
    { source: 'house' },
    { source: 'bars', x: 0.6, y: 0.6, width: 0.3, height: 0.3, border: { width: 0.01, colour: '#ff0000' } },
  ],
  transition: 'slide',
  transition_ms: 400,
  transition_from: 'top',
};

describe('the scene editor', () => {
  let rig;
  let browser;
  before(async () => {
    rig = await Rig.start({ sources: 2 });
    browser = await setUp(rig);
  });
  after(async () => {
    await browser?.close();
    await rig?.end();
  });

  /** As another panel would. */
  const put = (page, scene) =>
    page.evaluate(async (scene) => {
      const { csrf } = await (await fetch('/api/v1/me')).json();
      const headers = { 'X-Regia-CSRF': csrf, 'Content-Type': 'application/json' };
      return (await fetch('/api/v1/config/scene/pip', { method: 'PUT', headers, body: JSON.stringify(scene) })).status;
    }, scene);

  const drag = async (page, from, by) => {
    const canvas = await page.locator('.canvas').boundingBox();
    await page.mouse.move(from.x, from.y);
    await page.mouse.down();
    for (let step = 1; step <= 10; step += 1) {
      await page.mouse.move(from.x + (by.x * canvas.width * step) / 10, from.y + (by.y * canvas.height * step) / 10);
    }
    await page.mouse.up();
  };

  it('shows what another panel has saved', { timeout: 60_000 }, async () => {
    const { page } = browser;
    await page.goto(`${rig.base}/#/scenes`);
    await page.locator('.list a').first().waitFor();
    assert.equal(await put(page, PIP), 200);
    await page.locator('.list a', { hasText: 'Pip' }).waitFor({ timeout: 10_000 });
  });

  it('moves and sizes a layer by dragging, and keeps the rest of it', { timeout: 60_000 }, async () => {
    const { page } = browser;
    await page.locator('.list a', { hasText: 'Pip' }).click();
    const layer = page.locator('.canvas .layer').nth(1);
    await layer.waitFor();
    const box = await layer.boundingBox();
    await drag(page, { x: box.x + box.width / 2, y: box.y + box.height / 2 }, { x: -0.34, y: -0.23 });
    const corner = await layer.locator('.corner').boundingBox();
    await drag(page, { x: corner.x + corner.width / 2, y: corner.y + corner.height / 2 }, { x: 0.1, y: 0.1 });
    await shot(page, 'scene-dragged');
    assert.deepEqual(await axe(page), []);
    await page.getByRole('button', { name: /^Save/ }).click();
    const place = async () => {
      const scenes = await (await page.request.get(`${rig.base}/api/v1/scenes`)).json();
      return scenes.find((scene) => scene.id === 'pip').layers[1].place;
    };
    await until('it is saved', 15_000, async () => (await place()).x !== 0.6);
    const text = rig.configured().split('id = "pip"')[1];
    const placed = await place();
    for (const [key, wanted] of [['x', 0.26], ['y', 0.37], ['width', 0.4], ['height', 0.4]]) {
      assert.ok(Math.abs(placed[key] - wanted) < 0.015, `${key}: ${JSON.stringify(placed)}`);
    }
    for (const kept of ['colour = "#ff0000"', 'transition = "slide"', 'transition_ms = 400', 'transition_from = "top"']) {
      assert.ok(text.includes(kept), `${kept}: ${text}`);
    }
  });

  it('takes what another panel changes, but not under the hand', { timeout: 60_000 }, async () => {
    const { page } = browser;
    const name = () => page.locator('.canvas .layer').nth(1).getAttribute('aria-label');
    const moved = structuredClone(PIP);
    moved.layers[1].x = 0.1;
    assert.equal(await put(page, moved), 200);
    await until('it moved', 10_000, async () => (await name()).includes('10'));
    // An arrow begins an edit of one's own.
    await page.locator('.canvas .layer').nth(1).press('ArrowRight');
    const mine = await name();
    moved.layers[1].x = 0.5;
    assert.equal(await put(page, moved), 200);
    await until('it is known', 10_000, async () => rig.configured().includes('x = 0.5'));
    await page.waitForTimeout(1_000);
    assert.equal(await name(), mine);
  });
});
