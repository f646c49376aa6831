// Doing something, and saying how it went.

import type { Status } from '../model/types';
import { ApiError, post } from './api';
import { t } from './i18n.svelte';
import { live } from './live.svelte';

export interface Toast {
  id: number;
  tone: 'ready' | 'soon';
  text: string;
}

class Toasts {
  list = $state.raw<Toast[]>([]);
  private next = 1;

  show(text: string, tone: Toast['tone'] = 'ready') {
    const id = this.next++;
    this.list = [...this.list.filter((toast) => toast.text !== text), { id, tone, text }].slice(-3);
    // What went wrong stays until it is read; longer texts take longer.
    const time = tone === 'soon' ? 6_000 + text.length * 60 : 3_000 + text.length * 20;
    setTimeout(() => this.drop(id), time);
  }

  drop(id: number) {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();

export function reason(error: unknown): string {
  if (error instanceof ApiError) return error.code === 'unreachable' ? t('error.unreachable') : error.message;
  return String(error);
}

/** True when it worked; otherwise somebody has been told why not. */
export async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    const answer = await work();
    if (answer && typeof answer === 'object') {
      const { status, note } = answer as { status?: Status; note?: string };
      live.take(status ?? (answer as Status));
      if (note) toasts.show(note, 'soon');
    }
    return true;
  } catch (error) {
    toasts.show(reason(error), 'soon');
    return false;
  }
}

export const act = (path: string, body: unknown = {}) => attempt(() => post(path, body));
