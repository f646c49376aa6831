// Writing one table of the configuration, and what came of it.

import { ApiError, del, put } from './api';
import { reason, toasts } from './act.svelte';
import { t } from './i18n.svelte';
import { stock } from './stock.svelte';
import type { ConfigAnswer, ConfigProblem } from '../model/types';

export type Kind = 'source' | 'scene' | 'title' | 'overlay' | 'destination';

export class Editing {
  problems = $state.raw<ConfigProblem[]>([]);
  error = $state('');
  busy = $state(false);

  /** Why it was not written. */
  refuse(error: unknown) {
    const body = error instanceof ApiError ? (error.body as { problems?: ConfigProblem[] } | null) : null;
    this.problems = body?.problems ?? [];
    if (this.problems.length === 0) this.error = reason(error);
  }

  /** True when it is written. */
  async save(kind: Kind, id: string, table: Record<string, unknown>): Promise<boolean> {
    return this.run(() => put<ConfigAnswer>(`/config/${kind}/${encodeURIComponent(id)}`, table));
  }

  async remove(kind: Kind, id: string): Promise<boolean> {
    return this.run(() => del<ConfigAnswer>(`/config/${kind}/${encodeURIComponent(id)}`));
  }

  async run(work: () => Promise<ConfigAnswer | null>): Promise<boolean> {
    this.busy = true;
    this.error = '';
    this.problems = [];
    try {
      const answer = await work();
      this.problems = answer?.problems ?? [];
      if (this.problems.some((problem) => problem.severity === 'problem')) return false;
      const applies = answer?.applies === 'after the broadcast' ? t('config.applies_later') : t('config.applies_now');
      toasts.show(answer?.panel_after_restart ? `${applies} ${t('config.panel_after_restart')}` : applies);
      await stock.load();
      return true;
    } catch (error) {
      this.refuse(error);
      return false;
    } finally {
      this.busy = false;
    }
  }
}

/** What people type becomes an id: letters, digits, - and _. */
export const idOf = (text: string) =>
  text.trim().toLowerCase().normalize('NFD').replace(/[^\w\s-]/g, '').replace(/[\s_]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 40);
