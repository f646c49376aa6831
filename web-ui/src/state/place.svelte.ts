// Where the address points, and how the panel looks.

import { type Route, route } from '../model/route';

export type Theme = 'dark' | 'light' | 'auto';
const STORED = 'regia.theme';

class Place {
  at = $state.raw<Route>(route(location.hash));
  theme = $state<Theme>('dark');

  start() {
    window.addEventListener('hashchange', () => {
      this.at = route(location.hash);
    });
    const stored = localStorage.getItem(STORED);
    this.wear(stored === 'light' || stored === 'auto' ? stored : 'dark');
    matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => this.wear(this.theme));
  }

  wear(theme: Theme) {
    this.theme = theme;
    localStorage.setItem(STORED, theme);
    const light = theme === 'light' || (theme === 'auto' && matchMedia('(prefers-color-scheme: light)').matches);
    document.documentElement.dataset.theme = light ? 'light' : 'dark';
  }

  go(hash: string) {
    location.hash = hash;
  }
}

export const place = new Place();
