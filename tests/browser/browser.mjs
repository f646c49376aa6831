// Debian's Chromium, quiet and on its own, and what every test here does with a page.

import { mkdtempSync, readFileSync, readdirSync, rmSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const SIZES = { desktop: { width: 1280, height: 800 }, tablet: { width: 1024, height: 768 }, phone: { width: 390, height: 844 } };
export const SHOTS = process.env.REGIA_SHOTS ?? fileURLToPath(new URL('shots', import.meta.url));
mkdirSync(SHOTS, { recursive: true });

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];

/** A browser with an empty profile of its own. */
export async function open(size, more = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'regia-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    headless: true,
    viewport: size,
    hasTouch: size.width < 600,
    ignoreHTTPSErrors: true,
    locale: 'en-GB',
    ...more,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const errors = [];
  // mpegts.js throws classes of its own, whose minified names are all that is told, where its socket speaks while it is torn down: the
  // picture is begun anew then, which the tests look at. Errors of the panel have a message.
  const isPlayers = (error) => /^\w{1,2}$/.test(error.message);
  page.on('pageerror', (error) => isPlayers(error) || errors.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    // A refused request is logged by the browser as well; tests that mean one look at the page.
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(message.text())) errors.push(`console: ${message.text()}`);
  });
  // Chromium gives up what it is loading when an interface of this machine comes or goes, as the rig's cable does: a page that is empty
  // by that is loaded again, as a person would.
  let again;
  page.on('requestfailed', (request) => {
    if (request.failure()?.errorText !== 'net::ERR_NETWORK_CHANGED') return;
    clearTimeout(again);
    again = setTimeout(async () => {
      try {
        if (await page.evaluate(() => document.querySelector('#app')?.childElementCount === 0)) await page.reload();
      } catch {
        // It went elsewhere meanwhile.
      }
    }, 1_000);
  });
  const close = async () => {
    clearTimeout(again);
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  /** The processes of this browser whose command line has such a word. */
  const processes = (word) => {
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((name) => {
      try {
        const fields = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1].split(' ');
        return { pid: Number(name), parent: Number(fields[1]), line: readFileSync(`/proc/${name}/cmdline`, 'utf8') };
      } catch {
        // It has just ended.
        return null;
      }
    });
    const there = all.filter((it) => it);
    const ours = new Set(there.filter((it) => it.line.includes(`--user-data-dir=${profile}`)).map((it) => it.pid));
    for (let more = true; more; ) {
      const found = there.filter((it) => ours.has(it.parent) && !ours.has(it.pid));
      found.forEach((it) => ours.add(it.pid));
      more = found.length > 0;
    }
    return there.filter((it) => ours.has(it.pid) && it.line.includes(word)).map((it) => it.pid);
  };
  /** As when the power goes: it says goodbye to nobody. */
  const kill = async () => {
    for (const pid of processes('chrom')) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It went with another.
      }
    }
    await context.close().catch(() => {});
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  return { context, page, errors, close, kill, processes };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What WCAG 2.2 AA has against the page as it is now: a line for each violation. */
export async function axe(page) {
  // By the debugger, so that the page's content security policy stays as it is.
  await page.evaluate(`(() => { ${axeSource} })()`);
  const result = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  return result.violations.map((it) => `${it.id} (${it.impact}): ${it.nodes.map((node) => `${node.target.join(' ')} — ${node.failureSummary?.split('\n')[1]?.trim()}`).join(' | ')}`);
}

/** Elements that stick out of the page or of a box that cuts them off. */
export async function cutOff(page) {
  return page.evaluate(() => {
    const found = [];
    if (document.documentElement.scrollWidth > innerWidth + 1) found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    for (const element of document.querySelectorAll('button, a, h1, h2, label > span, .chip, dd, dt, kbd')) {
      const box = element.getBoundingClientRect();
      if (box.width === 0 || element.closest('.sr, .ellipsis, .scenes, .skip') || element.classList.contains('skip')) continue;
      if (getComputedStyle(element).textOverflow === 'ellipsis') continue;
      if (box.right > innerWidth + 1 || box.left < -1) found.push(`${element.tagName} "${element.textContent.trim().slice(0, 40)}" is outside of the screen`);
      if (element.scrollWidth > element.clientWidth + 2 && element.clientWidth > 0 && getComputedStyle(element).display !== 'inline')
        found.push(`${element.tagName} "${element.textContent.trim().slice(0, 40)}" overflows: ${element.scrollWidth} > ${element.clientWidth}`);
    }
    return found;
  });
}

export const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });
