// When the panel says that the connection is lost, and when it tries again. Pure: times are milliseconds of one clock.

/** The server says something each second. So long without a word means that what is shown may not hold any more. */
export const SILENCE_MS = 2_500;
/** A connection that says nothing for so long is given up for a new one. */
export const GIVE_UP_MS = 6_000;
const FIRST_MS = 250;
const LONGEST_MS = 3_000;

/** How long to wait before the nth try, counted from 0. `chance` is in [0, 1): twenty panels should not knock at once. */
export function backoff(tries: number, chance: number): number {
  const wait = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(tries, 10));
  return Math.round(wait * (0.75 + 0.5 * chance));
}

export type Freshness = 'waiting' | 'fresh' | 'lost';

export function freshness(heardAt: number | null, startedAt: number, now: number): Freshness {
  if (heardAt === null) return now - startedAt > SILENCE_MS ? 'lost' : 'waiting';
  return now - heardAt > SILENCE_MS ? 'lost' : 'fresh';
}
