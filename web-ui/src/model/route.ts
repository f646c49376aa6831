// Where the address points. Pure.

export const SCREENS = [
  'air', 'before', 'after', 'scenes', 'sources', 'destinations', 'recordings', 'network', 'schedule', 'users', 'system',
  'phone', 'tally',
] as const;
export type Screen = (typeof SCREENS)[number];

export interface Route {
  screen: Screen;
  /** What of the screen is meant: an id. */
  of: string | null;
}

export function route(hash: string): Route {
  const [screen, ...rest] = hash.replace(/^#\/?/, '').split('/');
  const known = SCREENS.find((name) => name === screen);
  const of = rest.join('/');
  return { screen: known ?? 'air', of: of ? decodeURIComponent(of) : null };
}

/** The token of a one-time link: /setup#TOKEN, #/setup/TOKEN or #TOKEN. */
export function setupToken(pathname: string, hash: string): string | null {
  const bare = hash.replace(/^#/, '');
  const named = bare.match(/^\/?setup(?:[/=]|\?token=)(.+)$/);
  if (named?.[1]) return decodeURIComponent(named[1]);
  if (/\/setup\/?$/.test(pathname)) return bare || '';
  return /^[A-Za-z0-9_-]{16,}$/.test(bare) ? bare : null;
}
