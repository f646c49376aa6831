// Ending a broadcast or one destination of it. What can't be taken back the server asks for once more.

import { ApiError, post } from './api';
import { reason, toasts } from './act.svelte';
import { live } from './live.svelte';
import type { Status } from '../model/types';

interface Question {
  destinations: string[];
  /** As the server asks it. */
  text: string;
}

class Ending {
  question = $state.raw<Question | null>(null);
  busy = $state(false);

  async stop(destinations: string[], confirm?: string) {
    this.busy = true;
    try {
      const body: Record<string, unknown> = { session: live.status?.session, destinations };
      if (confirm) body.confirm = confirm;
      live.take(await post<Status>('/live/stop', body));
      this.question = null;
    } catch (error) {
      if (error instanceof ApiError && error.code === 'confirm') {
        if (confirm) toasts.show(error.message, 'soon');
        this.question = { destinations, text: error.message };
      } else {
        toasts.show(reason(error), 'soon');
      }
    } finally {
      this.busy = false;
    }
  }
}

export const ending = new Ending();
