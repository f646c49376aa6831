// The ways out of the box: those that are configured, and what destinations tell of them. Pure.

import type { Destination } from './types';

export interface Uplink {
  id: string;
  /** trouble: something wants to go by it and does not. */
  state: 'in_use' | 'trouble' | 'ready' | 'idle';
  /** Destinations that go by it. */
  carries: string[];
  kbps: number;
  rtt_ms: number | null;
}

/** `configured` gives those that nothing uses now; an id of '' is the system's own routing. */
export function uplinks(destinations: Destination[], configured: string[]): Uplink[] {
  const all = new Map<string, Uplink>();
  const of = (id: string) => {
    const known = all.get(id);
    if (known) return known;
    const made: Uplink = { id, state: 'idle', carries: [], kbps: 0, rtt_ms: null };
    all.set(id, made);
    return made;
  };
  for (const id of configured) of(id);
  for (const it of destinations) {
    // A standby is named "lte", or with the ingest it leads to: "lte to host:443".
    const standby = it.standby?.split(' ')[0];
    if (standby && (all.has(standby) || it.uplink !== null)) {
      const up = of(standby);
      if (up.state === 'idle') up.state = 'ready';
    }
    if (it.state === 'connecting' || it.state === 'ended') continue;
    const up = of(it.uplink ?? '');
    if (it.state === 'stalled' || it.state === 'reconnecting') {
      if (up.state !== 'in_use') up.state = 'trouble';
    } else if (it.state === 'on_air') {
      up.state = 'in_use';
      up.carries.push(it.id);
      up.kbps += it.bitrate_kbps;
      up.rtt_ms = it.rtt_ms ?? up.rtt_ms;
    }
  }
  return [...all.values()];
}
