// Every language says everything, with all the plural forms that its grammar has; no key is missing and none is left over.

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LANGUAGES, type Texts, choose, say } from '../src/model/text';
import { KINDS } from '../src/model/sources';
import { LAYOUTS } from '../src/model/scene';
import { SCREENS } from '../src/model/route';
import { look } from '../src/model/words';
import type { StateWord } from '../src/model/types';

const src = join(__dirname, '../src');
const read = (lang: string): Texts => JSON.parse(readFileSync(join(src, 'locales', `${lang}.json`), 'utf8'));
const languages = Object.keys(LANGUAGES);
const all = Object.fromEntries(languages.map((lang) => [lang, read(lang)]));
const en = all.en!;

function files(dir: string): string[] {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    return statSync(path).isDirectory() ? files(path) : /\.(svelte|ts)$/.test(name) ? [path] : [];
  });
}
const code = files(src).map((path) => readFileSync(path, 'utf8')).join('\n');

/** The forms that occur when whole things are counted. */
function forms(lang: string): string[] {
  const rules = new Intl.PluralRules(lang);
  return [...new Set(Array.from({ length: 200 }, (_, n) => rules.select(n)))].sort();
}

const STATES: StateWord[] = ['OFF', 'STANDBY', 'REHEARSAL', 'CONNECTING', 'ON AIR', 'ON AIR, DEGRADED', 'ON AIR, BACKUP UPLINK', 'SLATE', 'ENDING', 'ENDED'];

/** Keys that are put together at run time, by what they are put together from. */
const MADE: string[] = [
  ...STATES.flatMap((state) => [look(state).key, look(state).beside?.key ?? []].flat()),
  ...SCREENS.map((name) => `nav.${name}`),
  ...KINDS.map((kind) => `kind.${kind.id}`),
  ...KINDS.flatMap((kind) => kind.fields.map((field) => `field.${field.key}`)),
  ...KINDS.flatMap((kind) => kind.fields.flatMap((field) => (field.choices ?? []).map((choice) => `choice.${choice}`))),
  ...LAYOUTS.map((layout) => `layout.${layout.id}`),
  ...['x', 'y', 'width', 'height'].map((part) => `scenes.${part}`),
  ...['black', 'frozen', 'silent'].map((alarm) => `alarm.${alarm}`),
  ...['settings', 'key', 'ingest', 'uplink', 'picture', 'sound', 'disk', 'clock', 'processors', 'power', 'temperature'].map((check) => `check.${check}`),
  ...['ok', 'warning', 'problem'].map((grade) => `grade.${grade}`),
  ...['connecting', 'on_air', 'stalled', 'reconnecting', 'ended', 'ending'].map((state) => `destination.${state}`),
  ...['public', 'accepted', 'sent', 'none'].map((reach) => `reach.${reach}`),
  ...['asked', 'limit', 'rolled_over', 'failed'].map((end) => `end.${end}`),
  ...['starting', 'live', 'lost'].map((state) => `source.${state}`),
  ...['in_use', 'trouble', 'ready', 'idle'].map((state) => `uplink.${state}`),
  ...['youtube', 'linkedin', 'facebook', 'vimeo', 'twitch', 'x', 'custom', 'rehearsal'].map((platform) => `platform.${platform}`),
  ...['v4l2', 'rtsp', 'file', 'alsa', 'srt', 'rtmp', 'youtube', 'linkedin', 'custom', 'rehearsal'].map((what) => `teach.${what}`),
  ...['viewer', 'operator', 'admin'].flatMap((role) => [`role.${role}`, `role.${role}_may`]),
  ...['dark', 'light', 'auto'].map((theme) => `theme.${theme}`),
  ...['lower-third', 'logo', 'clock', 'countdown', 'ticker', 'slide', 'text'].map((kind) => `title.${kind}`),
  ...['once', 'daily', 'weekly'].map((it) => `repeat.${it}`),
  ...['pending', 'waiting', 'begun', 'done', 'failed', 'skipped'].map((state) => `step.${state}`),
  ...['health', 'log', 'config'].map((tab) => `system.${tab}`),
];
const named = [...code.matchAll(/\bt\(\s*'([^']+)'/g)].map((match) => match[1]!);
// In a choice between two: t(a ? 'x' : 'y') is not written, but t('x') : t('y') is.
const used = new Set([...named, ...MADE]);

describe('words', () => {
  it('finds the words that the code uses', () => expect(named.length).toBeGreaterThan(200));

  it.each([...used])('%s is there in English', (key) => expect(en).toHaveProperty([key]));

  it('has no word that nothing uses', () => {
    expect(Object.keys(en).filter((key) => !used.has(key))).toEqual([]);
  });

  describe.each(languages)('in %s', (lang) => {
    const texts = all[lang]!;

    it('has every word, and no other', () => expect(Object.keys(texts).sort()).toEqual(Object.keys(en).sort()));

    it.each(Object.entries(texts))('says %s', (key, text) => {
      const variables = (it: unknown) => [...new Set(JSON.stringify(it).match(/\{\w+\}/g) ?? [])].sort();
      const english = en[key];
      if (typeof text === 'string') {
        expect(text.trim()).not.toBe('');
        expect(typeof english).toBe('string');
      } else {
        expect(Object.keys(text).sort()).toEqual(forms(lang));
        for (const form of Object.values(text)) expect(form.trim()).not.toBe('');
      }
      expect(variables(text)).toEqual(variables(english));
    });
  });

  it('is really translated', () => {
    for (const lang of languages.filter((it) => it !== 'en')) {
      const same = Object.keys(en).filter((key) => JSON.stringify(en[key]) === JSON.stringify(all[lang]![key]));
      // Names of things, and words that are the same.
      expect(same.length, `${lang}: ${same.join(' ')}`).toBeLessThan(45);
    }
  });

  it('counts as each grammar does', () => {
    const count = (lang: string, n: number) => say(all[lang]!, en, lang, 'before.problems', { n });
    expect(count('en', 1)).toBe('1 problem stands against a start');
    expect([1, 3, 5].map((n) => count('sk', n))).toEqual(['1 problém bráni spusteniu', '3 problémy bránia spusteniu', '5 problémov bráni spusteniu']);
    expect(count('it', 2)).toBe('2 problemi impediscono l’avvio');
    expect(count('zh-CN', 1)).toBe('1 个问题妨碍开播');
  });

  it('falls back to English, then to the key', () => {
    expect(say({}, { a: 'one {x}' }, 'sk', 'a', { x: 2 })).toBe('one 2');
    expect(say({}, {}, 'sk', 'a.b')).toBe('a.b');
  });

  it('chooses the first language that there is', () => {
    expect(choose(['de-AT', 'cs-CZ', 'it'])).toBe('sk');
    expect(choose(['zh-TW'])).toBe('zh-CN');
    expect(choose(['de'])).toBe('en');
  });
});
