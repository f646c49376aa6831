import { uplinks } from '../model/uplinks';
import { live } from './live.svelte';
import { stock } from './stock.svelte';

class Ways {
  configured = $derived((stock.uplinks ?? []).map((it) => it.id));
  all = $derived(uplinks(live.status?.destinations ?? [], this.configured));
}

export const ways = new Ways();
