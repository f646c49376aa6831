import { uplinks } from '../model/uplinks';
import { live } from './live.svelte';
import { stock } from './stock.svelte';

class Ways {
  configured = $derived([
    ...new Set((stock.destinations ?? []).flatMap((it) => (Array.isArray(it.uplinks) ? (it.uplinks as string[]) : []))),
  ]);
  all = $derived(uplinks(live.status?.destinations ?? [], this.configured));
}

export const ways = new Ways();
