import { describe, expect, it } from 'vitest';
import { bytes, city, clock, left, level, name, rate, signed, span, timeOfDay, title } from '../src/model/format';
import { SILENCE_MS, backoff, freshness } from '../src/model/link';
import { isUrgent, joined } from '../src/model/merge';
import { CLOSEST, begin, step, waited } from '../src/model/pace';
import { route, setupToken } from '../src/model/route';
import { LAYOUTS, type Layer, laidOut, layer, moved, resized, table } from '../src/model/scene';
import { KINDS, table as sourceTable } from '../src/model/sources';
import type { Destination, Entry, Status } from '../src/model/types';
import { uplinks } from '../src/model/uplinks';
import { isPublic, limitTone } from '../src/model/words';

describe('numbers and times', () => {
  it('reads as a control room does', () => {
    expect(clock(6432)).toBe('01:47:12');
    expect(left(7968)).toBe('2:12:48');
    expect(left(245)).toBe('4:05');
    expect(left(59.2)).toBe('1:00');
    expect(rate(6012)).toBe('6.0 Mb/s');
    expect(rate(6012, 'sk')).toBe('6,0 Mb/s');
    expect(rate(640)).toBe('640 kb/s');
    expect(level(-16.24)).toBe('−16.2');
    expect(level(null)).toBe('–');
    expect(signed(-3, 1)).toBe('−3.0');
    expect(signed(0.04, 1)).toBe('0.0');
    expect(bytes(5_412_345_678)).toBe('5.4 GB');
  });

  it('says spans as the server does', () => {
    expect([0.42, 9.96, 99.6, 240, 245, 14_400, 14_280].map((s) => span(s))).toEqual(['0.4 s', '10 s', '1 min 40 s', '4 min', '4 min 5 s', '4 h', '3 h 58 min']);
  });

  it('keeps 24 hours in the venue’s zone, in summer and winter', () => {
    expect(timeOfDay(Date.UTC(2026, 6, 31, 22, 5), 'Europe/Rome', 'en')).toBe('00:05');
    expect(timeOfDay(Date.UTC(2026, 10, 28, 22, 5), 'Europe/Rome', 'en')).toBe('23:05');
    expect(timeOfDay(Date.UTC(2026, 10, 28, 22, 5), 'No/Where', 'en')).toMatch(/^\d\d:\d\d$/);
    expect(city('America/Argentina/Buenos_Aires')).toBe('Buenos Aires');
  });

  it('shows ids as names', () => {
    expect([title('fibre'), title('lte'), name('youtube'), name('own')]).toEqual(['Fibre', 'LTE', 'YouTube', 'Own']);
  });
});

describe('the connection', () => {
  it('is lost within 3 s of silence, never heard of or gone', () => {
    expect(SILENCE_MS).toBeLessThan(3_000);
    expect(freshness(null, 0, SILENCE_MS)).toBe('waiting');
    expect(freshness(null, 0, SILENCE_MS + 1)).toBe('lost');
    expect(freshness(5_000, 0, 5_000 + SILENCE_MS)).toBe('fresh');
    expect(freshness(5_000, 0, 5_001 + SILENCE_MS)).toBe('lost');
  });

  it('is tried again soon, then each few seconds, by twenty panels at different times', () => {
    expect(backoff(0, 0.5)).toBe(250);
    for (const tries of [4, 10, 1_000]) {
      expect(backoff(tries, 0)).toBeGreaterThanOrEqual(2_000);
      expect(backoff(tries, 0.999)).toBeLessThanOrEqual(3_750);
    }
    expect(backoff(5, 0)).not.toBe(backoff(5, 0.9));
  });
});

const destination = (more: Partial<Destination> = {}): Destination => ({
  id: 'linkedin', platform: 'linkedin', state: 'on_air', uplink: 'fibre', ingest: 'a:443', standby: 'lte', bitrate_kbps: 6_000, rtt_ms: 20, hold_used_s: 0,
  hold_s: 30, outage_left_s: 30, delivered_s: 0, shed_s: 0, replayed_s: 0, undelivered_s: 0, reconnects: 0, ends_in_s: null, error: null,
  reach: { sent: true, accepted: true, public: 'unknown' }, session: 1, ending: false, ...more,
});
const status = (more: Partial<Status> = {}): Status => ({
  state: 'ON AIR', session: 's', elapsed_s: 1, ending_s: null, scene: 'wide', preview: null, encoder: null, video_kbps: 6_000, dropped_frames: 0, engine_runs: 1,
  levels: null, alarms: [], health_age_s: 0, delay_s: 0, notices: [], sources: [], destinations: [destination()], mix: null, ...more,
});

describe('events', () => {
  it('what somebody waits for is urgent, a number that moved is not', () => {
    expect(isUrgent(null, status())).toBe(true);
    expect(isUrgent(status(), status({ elapsed_s: 2, destinations: [destination({ bitrate_kbps: 1 })] }))).toBe(false);
    expect(isUrgent(status(), status({ state: 'SLATE' }))).toBe(true);
    expect(isUrgent(status(), status({ preview: 'pip' }))).toBe(true);
    expect(isUrgent(status(), status({ destinations: [destination({ error: 'gone' })] }))).toBe(true);
  });

  it('the log keeps its order and nothing twice', () => {
    const entry = (at_ms: number, text?: string): Entry => ({ at_ms, who: 'regia', event: 'x', text });
    const log = joined([entry(1, 'a'), entry(3, 'c')], [entry(3), entry(2, 'b')]);
    expect(log.map((it) => it.text)).toEqual(['a', 'b', 'c']);
  });
});

describe('addresses', () => {
  it('name screens', () => {
    expect(route('')).toEqual({ screen: 'air', of: null });
    expect(route('#/scenes/two%20up')).toEqual({ screen: 'scenes', of: 'two up' });
    expect(route('#/nowhere')).toEqual({ screen: 'air', of: null });
  });

  it('carry the one-time token', () => {
    expect(setupToken('/setup', '#abc_DEF-0123456789xyz')).toBe('abc_DEF-0123456789xyz');
    expect(setupToken('/', '#/setup/abc')).toBe('abc');
    expect(setupToken('/', '#abc_DEF-0123456789xyz')).toBe('abc_DEF-0123456789xyz');
    expect(setupToken('/', '#/destinations')).toBeNull();
    expect(setupToken('/', '')).toBeNull();
  });
});

describe('scenes', () => {
  it('colours go back as the file has them', () => {
    const green = { red: 0, green: 255, blue: 10, alpha: 255 };
    const raw = { source: 'stage', border: { width: 0.01, colour: { ...green, alpha: 128 } }, chroma_key: { colour: green, similarity: 0.3, smoothness: 0.1 } };
    expect(table(layer(raw))).toEqual({
      source: 'stage', border: { width: 0.01, colour: '#00ff0a80' }, chroma_key: { colour: '#00ff0a', similarity: 0.3, smoothness: 0.1 },
    });
  });

  const full = layer({ source: 'stage' });

  it('are read as the file and as the API have them', () => {
    expect(full).toMatchObject({ kind: 'source', content: 'stage', x: 0, y: 0, width: 1, height: 1, opacity: 1 });
    expect(layer({ content: { title: 'speaker' }, place: { x: 0.1, y: 0.2, width: 0.3, height: 0.4 } })).toMatchObject({ kind: 'title', content: 'speaker', x: 0.1, height: 0.4 });
  });

  it('are written without what goes without saying, and keep what the panel does not show', () => {
    expect(table(full)).toEqual({ source: 'stage' });
    const rich = layer({ id: 'stage', content: { source: 'stage' }, place: { x: 0, y: 0, width: 1, height: 1 }, opacity: 0.5, crop: { left: 0.1, top: 0, right: 0, bottom: 0 }, border: null, z: 0, or: 'wide' });
    expect(table(rich)).toEqual({ source: 'stage', opacity: 0.5, crop: [0.1, 0, 0, 0], or: 'wide' });
  });

  it('move by dragging, snap to edges, and never leave the frame', () => {
    const small: Layer = { ...full, x: 0.5, y: 0.5, width: 0.3, height: 0.3 };
    expect(moved(small, 0.195, 0.1)).toMatchObject({ x: 0.7, y: 0.6 });
    expect(moved(small, 9, -9)).toMatchObject({ x: 0.95, y: -0.25 });
    expect(resized(small, -9, 0.1)).toMatchObject({ width: 0.05, height: 0.4 });
  });

  it('are laid out, with sources that are not shown yet in the free places', () => {
    const quad = LAYOUTS.find((it) => it.id === 'quad')!;
    const laid = laidOut([full], quad, ['stage', 'slides']);
    expect(laid.map((it) => it.content)).toEqual(['stage', 'slides']);
    expect(laid[1]).toMatchObject({ x: 0.5, y: 0, width: 0.5 });
  });
});

describe('the preview', () => {
  it('catches up when it is behind, and no further than it must', () => {
    const first = step(begin(0), 1.9, 1);
    expect(first.jump, 'it begins at a keyframe').toBe(true);
    let pace = first.pace;
    expect(step(pace, 0.25, 1)).toMatchObject({ rate: 1, jump: false });
    const late = step(pace, 0.6, 1);
    expect(late).toMatchObject({ rate: 1.1, jump: false });
    pace = late.pace;
    expect(step(pace, 0.25, 2).rate).toBe(1.1);
    expect(step(pace, 0.19, 3).rate).toBe(1);
    expect(step(pace, 4, 3).jump).toBe(true);
  });

  it('falls back where the connection makes it wait, and comes nearer when it does not', () => {
    let pace = begin(0);
    pace = waited(pace, 10);
    expect(pace.target).toBeCloseTo(CLOSEST + 0.15);
    for (let n = 0; n < 20; n += 1) pace = waited(pace, 10);
    expect(pace.target).toBe(1);
    pace = step(pace, 1, 20).pace;
    expect(pace.target).toBe(1);
    for (let now = 30; now < 1_000; now += 1) pace = step(pace, 1, now).pace;
    expect(pace.target).toBe(CLOSEST);
  });
});

describe('sources', () => {
  it('are written as their kind wants it', () => {
    const html = KINDS.find((it) => it.id === 'html')!;
    expect(sourceTable(html, { url: ' http://x ', width: '1280', height: '' })).toEqual({ kind: 'html', url: 'http://x', width: 1280 });
    const file = KINDS.find((it) => it.id === 'file')!;
    expect(sourceTable(file, { path: 'a.mp4', loop: false })).toEqual({ kind: 'file', path: 'a.mp4' });
  });
});

describe('uplinks', () => {
  it('tell which carries, which is ready, which is idle', () => {
    const ways = uplinks([destination(), destination({ id: 'youtube', standby: 'lte to b:443' })], ['fibre', 'lte', 'satellite']);
    expect(ways.map((it) => [it.id, it.state])).toEqual([['fibre', 'in_use'], ['lte', 'ready'], ['satellite', 'idle']]);
    expect(ways[0]).toMatchObject({ kbps: 12_000, carries: ['linkedin', 'youtube'] });
  });

  it('a way on which nothing moves is in trouble, not idle', () => {
    expect(uplinks([destination({ state: 'stalled' })], ['fibre', 'lte']).map((it) => [it.id, it.state])).toEqual([['fibre', 'trouble'], ['lte', 'ready']]);
  });

  it('without any, the system’s routing is the way', () => {
    expect(uplinks([destination({ uplink: null, standby: null })], [])).toMatchObject([{ id: '', state: 'in_use' }]);
  });
});

describe('words', () => {
  it('red means on air', () => {
    expect(isPublic('ON AIR, DEGRADED')).toBe(true);
    expect(isPublic('SLATE')).toBe(true);
    expect(isPublic('REHEARSAL')).toBe(false);
  });
  it('the limit is amber at 15 minutes and red at 5', () => {
    expect([901, 900, 301, 300].map(limitTone)).toEqual(['idle', 'soon', 'soon', 'air']);
  });
});
