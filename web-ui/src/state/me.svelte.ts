// Who is signed in, what they may do, and whether they hold the desk.

import { setupToken } from '../model/route';
import type { Desk, Me, Role } from '../model/types';
import { ApiError, get, post, setCsrf, whenUnauthorised } from './api';
import { live } from './live.svelte';
import { stock } from './stock.svelte';

export type Access = 'unknown' | 'setup' | 'out' | 'in' | 'unreachable';

const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

class Session {
  access = $state<Access>('unknown');
  user = $state('');
  role = $state<Role>('viewer');
  zone = $state('');
  token = $state('');
  private held = false;

  desk: Desk = $derived(live.desk ?? { holder: null, mine: false, asked_by: null });
  isAdmin = $derived(this.role === 'admin');
  mayOperate = $derived(RANK[this.role] >= RANK.operator);
  /** Buttons that act on the broadcast work. */
  controls = $derived(this.mayOperate && (this.desk.mine || this.desk.holder === null) && live.fresh);

  async start() {
    whenUnauthorised(() => this.signedOut());
    const token = setupToken(location.pathname, location.hash);
    if (token !== null) {
      this.token = token;
      this.access = 'setup';
      return;
    }
    await this.resume();
  }

  /** By the cookie, if there is one. */
  async resume() {
    try {
      await this.enter(await get<Me>('/me'));
    } catch (error) {
      if (error instanceof ApiError && error.code === 'unreachable') {
        this.access = 'unreachable';
        setTimeout(() => this.access === 'unreachable' && void this.resume(), 2000);
      } else {
        this.access = 'out';
      }
    }
  }

  async signIn(user: string, password: string) {
    const answer = await post<{ user: string; role: Role; csrf: string }>('/login', { user, password });
    setCsrf(answer.csrf);
    await this.enter(await get<Me>('/me'));
  }

  /** The first administrator's password; whoever sets it is signed in. */
  async setUp(password: string) {
    const answer = await post<{ user?: string; csrf?: string } | null>('/setup', { token: this.token, password });
    // The token is used up and has no business in the history.
    history.replaceState(null, '', '/');
    location.hash = '#/before';
    this.token = '';
    if (answer?.csrf) setCsrf(answer.csrf);
    try {
      await this.enter(await get<Me>('/me'));
    } catch {
      await this.signIn(answer?.user ?? 'admin', password);
    }
  }

  private async enter(me: Me) {
    setCsrf(me.csrf);
    this.user = me.user;
    this.role = me.role;
    this.zone = (me.zone && me.zone !== 'Etc/Unknown' ? me.zone : '') || Intl.DateTimeFormat().resolvedOptions().timeZone;
    live.desk = me.desk;
    this.held = me.desk?.mine ?? false;
    this.access = 'in';
    live.start(() => void this.verify(), () => void this.begun(), () => void stock.load());
    // A desk that nobody holds is taken by whoever may; one that somebody holds is asked for.
    if (this.mayOperate && me.desk && me.desk.holder === null) await this.deskDo('take').catch(() => {});
  }

  /** A Regia that was started again knows of no desk: whoever had it when it went has it again. */
  private async begun() {
    if (this.held && this.mayOperate && live.desk?.holder === null) await this.deskDo('take').catch(() => {});
    if (live.desk?.holder !== null) this.held = live.desk?.mine ?? false;
    // What is configured may be something else now.
    void stock.load();
  }

  private async verify() {
    try {
      const me = await get<Me>('/me');
      setCsrf(me.csrf);
      live.desk = me.desk;
    } catch {
      // A 401 has signed us out; anything else is tried again with the connection.
    }
  }

  async deskDo(what: 'take' | 'ask' | 'release') {
    const answer = await post<Desk | { desk?: Desk } | null>(`/desk/${what}`);
    const desk = answer && 'desk' in answer ? answer.desk : (answer as Desk | null);
    if (desk && 'mine' in desk) live.desk = desk;
    else live.desk = (await get<Me>('/me')).desk;
    this.held = live.desk.mine;
  }

  async signOut() {
    await post('/logout').catch(() => {});
    this.signedOut();
  }

  private signedOut() {
    live.stop();
    setCsrf('');
    this.access = 'out';
  }
}

export const session = new Session();
