// Small pictures. Each is fetched while somebody looks at it, and only then is it made.

import { untrack } from 'svelte';
import { url } from './api';

const EVERY_MS = 1_000;
/** A picture older than this is greyed. */
export const OLD_MS = 4_000;

class Picture {
  src = $state<string | null>(null);
  at = $state(0);
  looking = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;

  constructor(private path: string) {}

  wake() {
    clearTimeout(this.timer);
    void this.fetch();
  }

  private async fetch() {
    if (this.busy || this.looking === 0 || document.visibilityState === 'hidden') return;
    this.busy = true;
    let next = EVERY_MS;
    try {
      const response = await fetch(url(this.path), { cache: 'no-store', signal: AbortSignal.timeout(5_000) });
      if (response.ok && response.headers.get('content-type')?.startsWith('image/')) {
        const before = this.src;
        this.src = URL.createObjectURL(await response.blob());
        this.at = Date.now();
        // The old one is still on screen until the new one is decoded.
        if (before) setTimeout(() => URL.revokeObjectURL(before), 2_000);
      } else {
        next = 3_000;
      }
    } catch {
      next = 3_000;
    }
    this.busy = false;
    clearTimeout(this.timer);
    if (this.looking > 0) this.timer = setTimeout(() => void this.fetch(), next);
  }

  stop() {
    clearTimeout(this.timer);
    if (this.src) URL.revokeObjectURL(this.src);
    this.src = null;
  }
}

const all = new Map<string, Picture>();

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') for (const picture of all.values()) picture.wake();
});

/** For an effect: the picture, and what ends the looking. */
export function look(path: string): { picture: Picture; end: () => void } {
  const picture = all.get(path) ?? new Picture(path);
  all.set(path, picture);
  untrack(() => {
    picture.looking += 1;
    picture.wake();
  });
  return {
    picture,
    end: () => {
      picture.looking -= 1;
      if (picture.looking === 0) {
        picture.stop();
        all.delete(path);
      }
    },
  };
}

export type { Picture };
