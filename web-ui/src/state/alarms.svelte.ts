// What is wrong now, in sentences; and what somebody has seen already. An alarm that goes and comes back is new.

import type { Destination, Status } from '../model/types';
import { live } from './live.svelte';
import { t, tt } from './i18n.svelte';
import { name, span, title } from '../model/format';
import { isUnderWay } from '../model/words';
import { words } from './i18n.svelte';

export interface Trouble {
  id: string;
  text: string;
}

function ofDestination(it: Destination): string | null {
  if (it.ending) return null;
  // While it connects for the first time, the state says so.
  if (it.state === 'on_air') return null;
  if (!it.error && it.state === 'connecting') return null;
  const who = name(it.id);
  const what = it.error ?? tt(`destination.${it.state}`);
  const covered = it.state === 'ended' ? '' : ` ${t('trouble.covered', { left: span(it.outage_left_s, words.lang) })}`;
  return `${who}: ${what}.${covered}`.replace(/\.\./g, '.');
}

export function troubles(status: Status | null): Trouble[] {
  if (!status) return [];
  // What the audience feels soonest comes first.
  const all: Trouble[] = [];
  if (isUnderWay(status.state)) {
    for (const destination of status.destinations) {
      const text = ofDestination(destination);
      if (text) all.push({ id: `destination/${destination.id}/${destination.state}`, text });
    }
  }
  for (const alarm of status.alarms) all.push({ id: `alarm/${alarm}`, text: tt(`alarm.${alarm}`) });
  for (const source of status.sources) {
    if (source.state !== 'lost') continue;
    const detail = source.detail ? ` (${source.detail})` : '';
    all.push({ id: `source/${source.id}`, text: t('trouble.source', { source: title(source.id), detail }) });
  }
  for (const notice of status.notices) all.push({ id: `notice/${notice}`, text: notice });
  return all;
}

class Alarms {
  private seen = $state.raw<string[]>([]);
  all = $derived(troubles(live.status));
  open = $derived(this.all.filter((trouble) => !this.seen.includes(trouble.id)));

  acknowledge(id: string) {
    const there = this.all.map((trouble) => trouble.id);
    this.seen = [...this.seen.filter((known) => there.includes(known)), id];
  }

  /** What is over is forgotten, so that it is told when it comes back. */
  forget() {
    const there = this.all.map((trouble) => trouble.id);
    if (this.seen.some((known) => !there.includes(known))) this.seen = this.seen.filter((known) => there.includes(known));
  }
}

export const alarms = new Alarms();
