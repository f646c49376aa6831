// How close to now the preview plays: as close as the connection allows, and no closer. Pure: times are seconds.

/** Of what the player has and has not shown yet. Less than this, and the slightest jitter stops it. */
export const CLOSEST = 0.2;
const FURTHEST = 1;
/** What it falls behind by when it had to wait, and comes nearer by when it has not for so long. */
const STEP_BACK = 0.15;
const STEP_CLOSER = 0.05;
const CALM_S = 20;
/** Nobody hears a tenth. */
const FASTER = 1.1;
const SLACK = 0.12;
/** So far behind, it leaves out what lies between: what matters is now. */
const JUMP = 0.8;

export interface Pace {
  target: number;
  /** It catches up. */
  fast: boolean;
  /** When the target was changed. */
  since: number;
  /** It has just begun, at a keyframe that may be seconds old: nobody misses what lies between that and now. */
  fresh: boolean;
}

export const begin = (now: number): Pace => ({ target: CLOSEST, fast: false, since: now, fresh: true });

/** The player had nothing left to show. */
export const waited = (pace: Pace, now: number): Pace => ({ target: Math.min(FURTHEST, pace.target + STEP_BACK), fast: false, since: now, fresh: false });

/** `ahead`: what the player has and has not shown yet. */
export function step(pace: Pace, ahead: number, now: number): { pace: Pace; rate: number; jump: boolean } {
  const calm = now - pace.since >= CALM_S && pace.target > CLOSEST;
  const target = calm ? Math.max(CLOSEST, pace.target - STEP_CLOSER) : pace.target;
  const jump = ahead > target + (pace.fresh ? SLACK : JUMP);
  const fast = !jump && ahead > target + (pace.fast ? 0 : SLACK);
  return { pace: { target, fast, since: calm ? now : pace.since, fresh: false }, rate: fast ? FASTER : 1, jump };
}
