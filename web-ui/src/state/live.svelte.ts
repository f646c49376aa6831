// What the box says of itself, from one WebSocket: a snapshot, then numbered changes. All screens read it here.

import { SILENCE_MS, GIVE_UP_MS, backoff, freshness, type Freshness } from '../model/link';
import { isUrgent, joined } from '../model/merge';
import type { Desk, Entry, Levels, Message, Status } from '../model/types';
import { isUnderWay } from '../model/words';
import { socketUrl } from './api';

/** Text changes at most four times a second. */
const TEXT_MS = 250;
const HISTORY_S = 60;

export interface Sample {
  at: number;
  kbps: number;
  rtt: number | null;
}

type LevelsListener = (levels: Levels | null) => void;

class Live {
  status = $state.raw<Status | null>(null);
  log = $state.raw<Entry[]>([]);
  desk = $state.raw<Desk | null>(null);
  /** For text: as the last status or a quarter of a second old. Meters draw from `onLevels`. */
  levels = $state.raw<Levels | null>(null);
  link = $state<Freshness>('waiting');
  /** Seconds since anything was heard, while that is too long. */
  silent_s = $state(0);
  /** The browser's time, for clocks: four times a second. */
  now = $state(Date.now());
  /** The last minute of each uplink, by its id. */
  history = $state.raw<Record<string, Sample[]>>({});

  private socket: WebSocket | null = null;
  private seq: number | null = null;
  private tries = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ticker: ReturnType<typeof setInterval> | undefined;
  private heardAt: number | null = null;
  private openedAt = 0;
  private startedAt = 0;
  private statusAt = 0;
  private appliedAt = 0;
  private waiting: ReturnType<typeof setTimeout> | undefined;
  private newest: Status | null = null;
  private levelsAt = 0;
  private sampledAt = 0;
  private listeners = new Set<LevelsListener>();
  private wanted = false;
  private check: () => void = () => {};
  private begun: () => void = () => {};
  private configured: () => void = () => {};

  fresh = $derived(this.link === 'fresh');

  /** Seconds on air, counting on between two statuses, and standing still when nothing is heard. */
  elapsed = $derived.by(() => {
    const status = this.status;
    if (!status) return 0;
    const running = this.fresh && isUnderWay(status.state) && status.elapsed_s > 0;
    return status.elapsed_s + (running ? Math.max(0, this.now - this.statusAt) / 1000 : 0);
  });

  /** `check` finds out why a connection does not come about: perhaps nobody is signed in any more. `begun` hears that all of it
   *  is known anew, as after a restart; `configured`, that the configuration is another, or holds from now on. */
  start(check: () => void, begun: () => void, configured: () => void) {
    if (this.wanted) return;
    this.wanted = true;
    this.check = check;
    this.begun = begun;
    this.configured = configured;
    this.startedAt = Date.now();
    this.heardAt = null;
    this.link = 'waiting';
    this.ticker = setInterval(() => this.tick(), TEXT_MS);
    document.addEventListener('visibilitychange', this.woke);
    document.addEventListener('resume', this.woke);
    window.addEventListener('online', this.woke);
    window.addEventListener('pageshow', this.woke);
    this.open();
  }

  stop() {
    this.wanted = false;
    clearInterval(this.ticker);
    clearTimeout(this.retry);
    clearTimeout(this.waiting);
    document.removeEventListener('visibilitychange', this.woke);
    document.removeEventListener('resume', this.woke);
    window.removeEventListener('online', this.woke);
    window.removeEventListener('pageshow', this.woke);
    this.close();
    this.seq = null;
    this.status = null;
    this.newest = null;
    this.levels = null;
    this.log = [];
    this.history = {};
  }

  onLevels(listener: LevelsListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A command's answer has the status as it is now: shown before the event comes. */
  take(status: Status | null | undefined) {
    if (status && typeof status === 'object' && 'state' in status) this.show(status);
  }

  private woke = () => {
    // After sleep the clock has jumped and no timer has run: what is shown is old until the box says otherwise.
    this.tick();
    if (document.visibilityState === 'visible' && this.link !== 'fresh') this.again();
  };

  private again() {
    clearTimeout(this.retry);
    this.tries = 0;
    this.close();
    this.open();
  }

  private close() {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  private open() {
    if (!this.wanted) return;
    const after = this.seq === null ? '' : `?after=${this.seq}`;
    const socket = new WebSocket(socketUrl(`/events${after}`));
    this.socket = socket;
    this.openedAt = Date.now();
    let heard = false;
    // Since when this socket has said nothing.
    let quietSince = Infinity;
    socket.onopen = () => (quietSince = Date.now());
    socket.onmessage = (event) => {
      const now = Date.now();
      if (now - quietSince > SILENCE_MS) {
        // We slept, or the network did: what comes now was said back then, and there may be much of it. A new connection begins with
        // what is.
        this.tick();
        this.again();
        return;
      }
      quietSince = now;
      heard = true;
      this.hear(event.data as string);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (!heard) this.check();
      this.later();
    };
  }

  private later() {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), backoff(this.tries, Math.random()));
    this.tries += 1;
  }

  private tick() {
    const now = Date.now();
    this.now = now;
    const before = this.link;
    this.link = freshness(this.heardAt, this.startedAt, now);
    if (this.link === 'lost') {
      this.silent_s = Math.floor((now - (this.heardAt ?? this.startedAt)) / 1000);
      // Meters must not go on showing what was.
      if (before !== 'lost') this.spread(null);
    }
    const spoke = Math.max(this.heardAt ?? 0, this.openedAt);
    if (this.socket && now - spoke > GIVE_UP_MS) {
      this.close();
      this.later();
    }
    this.sample(now);
  }

  private hear(data: string) {
    let message: Message;
    try {
      message = JSON.parse(data) as Message;
    } catch {
      return;
    }
    const now = Date.now();
    const wasLost = this.heardAt !== null && now - this.heardAt > SILENCE_MS;
    this.heardAt = now;
    this.tries = 0;
    if (message.seq !== undefined) this.seq = message.seq;
    switch (message.kind) {
      case 'snapshot':
        this.log = joined([], message.log);
        this.showLevels(message.levels ?? message.status.levels);
        if (message.desk) this.desk = message.desk;
        this.show(message.status, true);
        this.begun();
        break;
      case 'status':
        this.show(message.status, wasLost);
        break;
      case 'levels':
        this.showLevels(message.levels);
        break;
      case 'log':
        this.log = joined(this.log, [message.entry]);
        if (message.entry.event === 'config_changed') this.configured();
        break;
      case 'desk':
        this.desk = message.desk;
        break;
      case 'ping':
        break;
    }
    if (this.link !== 'fresh') this.tick();
  }

  private show(status: Status, atOnce = false) {
    const now = Date.now();
    // What waited for the end of a broadcast says so until then.
    if (this.newest && status.notices.length < this.newest.notices.length) this.configured();
    const urgent = atOnce || isUrgent(this.newest, status);
    this.newest = status;
    this.statusAt = now;
    const wait = this.appliedAt + TEXT_MS - now;
    if (urgent || wait <= 0) {
      clearTimeout(this.waiting);
      this.waiting = undefined;
      this.appliedAt = now;
      this.status = status;
    } else {
      this.waiting ??= setTimeout(() => {
        this.waiting = undefined;
        this.appliedAt = Date.now();
        this.status = this.newest;
      }, wait);
    }
  }

  private showLevels(levels: Levels | null) {
    this.spread(levels);
    const now = Date.now();
    if (now - this.levelsAt >= TEXT_MS) {
      this.levelsAt = now;
      this.levels = levels;
    }
  }

  private spread(levels: Levels | null) {
    for (const listener of this.listeners) listener(levels);
  }

  /** Once a second, how each uplink does; where nothing is heard the graph has a gap. */
  private sample(now: number) {
    if (now - this.sampledAt < 1000) return;
    this.sampledAt = now;
    const oldest = now - HISTORY_S * 1000;
    const history: Record<string, Sample[]> = {};
    for (const [id, samples] of Object.entries(this.history)) {
      const kept = samples.filter((sample) => sample.at > oldest);
      if (kept.length) history[id] = kept;
    }
    if (this.fresh && this.status) {
      const by: Record<string, Sample> = {};
      for (const it of this.status.destinations) {
        if (it.state === 'ended' || it.state === 'connecting') continue;
        const id = it.uplink ?? '';
        const sum = (by[id] ??= { at: now, kbps: 0, rtt: null });
        sum.kbps += it.state === 'on_air' ? it.bitrate_kbps : 0;
        sum.rtt = it.rtt_ms ?? sum.rtt;
      }
      for (const [id, sample] of Object.entries(by)) history[id] = [...(history[id] ?? []), sample];
    }
    this.history = history;
  }
}

export const live = new Live();
