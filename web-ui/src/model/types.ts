// What the API gives, as far as the panel reads it. Names are the API's.

export type StateWord =
  | 'OFF' | 'STANDBY' | 'REHEARSAL' | 'CONNECTING' | 'ON AIR' | 'ON AIR, DEGRADED' | 'ON AIR, BACKUP UPLINK'
  | 'SLATE' | 'ENDING' | 'ENDED';

export interface SourceHealth {
  id: string;
  frames: number;
  late: number;
  fps: number;
  frozen_s: number | null;
  black_s: number | null;
  silent_s: number | null;
  format: string;
  reconnects: number;
  still: boolean;
}

export interface SourceStatus {
  id: string;
  state: 'starting' | 'live' | 'lost';
  detail: string;
  health: SourceHealth | null;
}

export interface Destination {
  id: string;
  platform: string;
  state: 'connecting' | 'on_air' | 'stalled' | 'reconnecting' | 'ended';
  uplink: string | null;
  ingest: string | null;
  standby: string | null;
  bitrate_kbps: number;
  rtt_ms: number | null;
  hold_used_s: number;
  hold_s: number;
  outage_left_s: number;
  delivered_s: number;
  shed_s: number;
  replayed_s: number;
  undelivered_s: number;
  reconnects: number;
  ends_in_s: number | null;
  error: string | null;
  reach: { sent: boolean; accepted: boolean; public: string };
  session: number;
  ending: boolean;
}

export interface InputLevel {
  id: string;
  peak_db: [number | null, number | null];
  open: boolean;
  reduced_db: number;
  ducked_db: number;
}

export interface Levels {
  programme: {
    peak_db: [number | null, number | null];
    momentary_lufs: number | null;
    short_term_lufs: number | null;
    integrated_lufs: number | null;
    true_peak_db: number | null;
    limited_db: number;
  };
  inputs: InputLevel[];
}

export interface SourceAudio {
  mode: 'follow' | 'on' | 'off';
  gain_db: number;
  mute: boolean;
}

export interface MixState {
  scene: string;
  preview: string | null;
  transition: { from: string; to: string; kind: string; ms: number } | null;
  black: boolean;
  overlays: { id: string; on: boolean }[];
  titles: Record<string, string[]>;
  clip: { scene: string; source: string; position_s: number; length_s: number | null } | null;
  audio: Record<string, SourceAudio>;
}

export type Alarm = 'black' | 'frozen' | 'silent';

export interface Status {
  state: StateWord;
  session: string | null;
  elapsed_s: number;
  ending_s: number | null;
  scene: string | null;
  preview: string | null;
  encoder: string | null;
  video_kbps: number;
  dropped_frames: number;
  engine_runs: number;
  levels: Levels | null;
  alarms: Alarm[];
  health_age_s: number | null;
  delay_s: number;
  notices: string[];
  sources: SourceStatus[];
  destinations: Destination[];
  mix?: MixState | null;
}

export type Who = string | Record<string, string>;

export interface Entry {
  at_ms: number;
  session?: string | null;
  elapsed_s?: number;
  who: Who;
  event: string;
  destination?: string | null;
  text?: string;
}

export interface Desk {
  holder: string | null;
  mine: boolean;
  asked_by: string | null;
}

export type Role = 'viewer' | 'operator' | 'admin';

export interface Me {
  user: string;
  role: Role;
  csrf: string;
  desk: Desk;
  zone: string;
}

export type Message = { seq?: number } & (
  | { kind: 'snapshot'; status: Status; log: Entry[]; levels: Levels | null; desk?: Desk }
  | { kind: 'status'; status: Status }
  | { kind: 'levels'; levels: Levels | null }
  | { kind: 'log'; entry: Entry }
  | { kind: 'desk'; desk: Desk }
  | { kind: 'ping' }
);

export interface Row {
  check: string;
  subject: string;
  grade: 'ok' | 'warning' | 'problem';
  found: string;
  age_s: number;
  advice: string;
}

export interface Preflight {
  ok: boolean;
  problems: number;
  warnings: number;
  rows: Row[];
}

export interface SceneInfo {
  id: string;
  name: string | null;
  layers: unknown[];
  still: boolean;
  then: string | null;
  clip: boolean;
}

export interface ConfigProblem {
  severity: 'problem' | 'warning';
  line?: number;
  column?: number;
  path: string;
  what: string;
  instead: string;
}

export interface ConfigAnswer {
  problems: ConfigProblem[];
  diff?: string;
  applies?: 'now' | 'after the broadcast';
  /** What stands in [panel] holds when Regia is started again. */
  panel_after_restart?: boolean;
  etag?: string;
}

export interface KeySlot {
  slot: string;
  fingerprint: string;
  saved_ms: number;
  single_use: boolean;
  used: string | null;
}

export interface Recording {
  id: string;
  file: string;
  bytes: number;
  session: string | null;
  started_ms: number;
}

export interface Totals {
  delivered_s: number;
  shed_s: number;
  replayed_s: number;
  undelivered_s: number;
  reconnects: number;
}

export interface Report {
  session: string;
  started_ms: number;
  ended_ms: number | null;
  lasted_s: number;
  started_by: string;
  recordings: string[];
  totals: Totals;
  destinations: { id: string; end: string | null; totals: Totals; outages: { at_s: number; lasted_s: number; reason: string }[] }[];
}

export interface Listed {
  session: string;
  started_ms: number;
  ended_ms: number | null;
}

export interface Step {
  step: number;
  time: string;
  what: string;
  state: 'pending' | 'waiting' | 'begun' | 'done' | 'failed' | 'skipped';
  detail: string;
  in_s: number | null;
}

export interface Run {
  show: string;
  title: string;
  occurrence: string;
  elapsed_s: number;
  ends_in_s: number;
  held: boolean;
  over: boolean;
  next: number | null;
  steps: Step[];
}

export interface Upcoming {
  show: string;
  name: string | null;
  occurrence: string;
  start_ms: number;
  end_ms: number;
  zone: string;
  note: string | null;
}

export interface Planned {
  running: Run | null;
  upcoming: Upcoming[];
}

export interface ShowListed {
  id: string;
  name: string | null;
  origin: string;
  zone: string;
  repeat: string | null;
  length_s: number;
  next_ms: number | null;
  problem: string | null;
}

export interface DryRun {
  start: string | null;
  steps: { step: number; time: string; at: string | null; what: string; waits: string }[];
  findings: { problem: boolean; text: string }[];
  ok: boolean;
}
