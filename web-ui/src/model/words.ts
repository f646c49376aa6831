// The state word: what it looks like, and what may be done in it. Pure.

import type { StateWord } from './types';

/** air is red and means on air; soon is amber: look soon; ready is green. */
export type Tone = 'air' | 'soon' | 'ready' | 'info' | 'idle';

export interface Look {
  key: string;
  icon: string;
  tone: Tone;
  /** On air, and something beside it wants to be looked at. */
  beside?: { key: string; icon: string };
}

const LOOKS: Record<StateWord, Look> = {
  OFF: { key: 'state.off', icon: 'off', tone: 'idle' },
  STANDBY: { key: 'state.standby', icon: 'standby', tone: 'ready' },
  REHEARSAL: { key: 'state.rehearsal', icon: 'rehearsal', tone: 'info' },
  CONNECTING: { key: 'state.connecting', icon: 'connecting', tone: 'soon' },
  'ON AIR': { key: 'state.on_air', icon: 'air', tone: 'air' },
  'ON AIR, DEGRADED': { key: 'state.on_air', icon: 'air', tone: 'air', beside: { key: 'state.degraded', icon: 'warning' } },
  'ON AIR, BACKUP UPLINK': { key: 'state.on_air', icon: 'air', tone: 'air', beside: { key: 'state.backup', icon: 'uplink' } },
  SLATE: { key: 'state.on_air', icon: 'air', tone: 'air', beside: { key: 'state.slate', icon: 'slate' } },
  ENDING: { key: 'state.ending', icon: 'ending', tone: 'soon' },
  ENDED: { key: 'state.ended', icon: 'ended', tone: 'idle' },
};

export function look(state: StateWord): Look {
  return LOOKS[state] ?? { key: 'state.off', icon: 'off', tone: 'idle' };
}

/** Somebody may be watching. */
export function isPublic(state: StateWord | undefined): boolean {
  return state === 'ON AIR' || state === 'ON AIR, DEGRADED' || state === 'ON AIR, BACKUP UPLINK' || state === 'SLATE';
}

/** A broadcast is under way, whoever watches. */
export function isUnderWay(state: StateWord | undefined): boolean {
  return isPublic(state) || state === 'REHEARSAL' || state === 'CONNECTING' || state === 'ENDING';
}

/** How soon the platform's limit is looked at: amber at 15 minutes, red at 5. */
export function limitTone(endsInS: number): Tone {
  if (endsInS <= 5 * 60) return 'air';
  return endsInS <= 15 * 60 ? 'soon' : 'idle';
}
