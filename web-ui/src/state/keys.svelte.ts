// Keys that work on the On air screen: Enter cuts, Space fades, 1 to 9 make a scene ready. None starts or ends a broadcast.

import { act } from './act.svelte';
import { live } from './live.svelte';
import { session } from './me.svelte';
import { place } from './place.svelte';
import { stock } from './stock.svelte';

export const FADE_MS = 500;

export const cut = () => act('/scene/take', { transition: 'cut', ms: 0 });
export const fade = () => act('/scene/take', { transition: 'fade', ms: FADE_MS });
export const preview = (scene: string) => act('/scene/preview', { scene });

/** Something else wants the key: a field, a button, an open dialog. */
function isTaken(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true;
  if (document.querySelector('dialog[open]')) return true;
  const target = event.target as HTMLElement;
  if (target.closest('input, select, textarea, [contenteditable]')) return true;
  // A focused button or link takes Enter and Space for itself; digits mean scenes all the same.
  return !/^[1-9]$/.test(event.key) && target.closest('button, a, summary, [role="button"]') !== null;
}

export function keydown(event: KeyboardEvent) {
  if (place.at.screen !== 'air' || !session.controls || !live.status?.mix || event.repeat || isTaken(event)) return;
  if (event.key === 'Enter' && live.status.mix.preview) {
    event.preventDefault();
    void cut();
  } else if (event.key === ' ' && live.status.mix.preview) {
    event.preventDefault();
    void fade();
  } else if (/^[1-9]$/.test(event.key)) {
    const scene = stock.scenes?.[Number(event.key) - 1];
    if (!scene) return;
    event.preventDefault();
    void preview(scene.id);
  }
}
