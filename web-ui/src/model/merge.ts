// What an event does to what is known. Pure.

import type { Entry, Status } from './types';

export const LOG_KEPT = 300;

/** A change that a person waits for is shown at once; the rest keeps to four a second. */
export function isUrgent(before: Status | null, now: Status): boolean {
  if (!before) return true;
  const shape = (s: Status) =>
    JSON.stringify([
      s.state, s.session, s.scene, s.preview, s.mix, s.alarms, s.notices,
      s.destinations.map((d) => [d.id, d.state, d.uplink, d.error, d.ending, d.session, d.reach]),
      s.sources.map((source) => [source.id, source.state]),
    ]);
  return shape(before) !== shape(now);
}

/** The journal gives an entry without the sentence that the events give it with. */
const same = (a: Entry, b: Entry) => a.at_ms === b.at_ms && a.event === b.event && a.destination === b.destination && a.elapsed_s === b.elapsed_s;

/** The log, oldest first, without what came twice. */
export function joined(log: Entry[], more: Entry[]): Entry[] {
  const fresh = more.filter((entry) => !log.some((known) => same(known, entry)));
  const all = fresh.length === 0 ? log : [...log, ...fresh].sort((a, b) => a.at_ms - b.at_ms);
  return all.slice(-LOG_KEPT);
}
