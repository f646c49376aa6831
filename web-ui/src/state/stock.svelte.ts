// What is configured: scenes, sources, titles, overlays, destinations, uplinks; and what this Regia can do at all.

import type { SceneInfo } from '../model/types';
import { title } from '../model/format';
import type { Planned } from '../model/types';
import { ifThere } from './api';

export interface Table {
  id: string;
  [key: string]: unknown;
}

class Stock {
  scenes = $state.raw<SceneInfo[] | null>(null);
  sources = $state.raw<Table[] | null>(null);
  destinations = $state.raw<Table[] | null>(null);
  uplinks = $state.raw<Table[] | null>(null);
  titles = $state.raw<Table[] | null>(null);
  overlays = $state.raw<Table[] | null>(null);
  /** None: this Regia has no schedule. */
  schedule = $state.raw<Planned | null>(null);

  async load() {
    await Promise.all([
      this.fill('scenes'), this.fill('sources'), this.fill('destinations'), this.fill('uplinks'), this.fill('titles'), this.fill('overlays'),
      this.loadSchedule(),
    ]);
  }

  private async fill(name: 'scenes' | 'sources' | 'destinations' | 'uplinks' | 'titles' | 'overlays') {
    try {
      const answer = await ifThere<unknown>(`/${name}`);
      // A list, or an object that holds it under its name.
      const list = Array.isArray(answer) ? answer : ((answer as Record<string, unknown> | null)?.[name] ?? null);
      this[name] = list as never;
    } catch {
      // The connection is gone, which the top bar says; what was known stays.
    }
  }

  async loadSchedule() {
    try {
      this.schedule = await ifThere<Planned>('/schedule');
    } catch {
      // As above.
    }
  }

  sceneName(id: string | null | undefined): string {
    if (!id) return '–';
    // A scene without a name comes with its id in its place.
    const name = this.scenes?.find((scene) => scene.id === id)?.name;
    return name && name !== id ? name : title(id);
  }
}

export const stock = new Stock();
