// Numbers and times as people read them. Pure: zone, language and time come in.

const pad = (n: number) => String(n).padStart(2, '0');

/** 01:47:12 */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  return `${pad(Math.floor(s / 3600))}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
}

/** 2:12:48, or 4:05 under an hour: what is left counts down without leading zeros. */
export function left(seconds: number): string {
  const s = Math.max(0, Math.ceil(seconds));
  const h = Math.floor(s / 3600);
  const m = Math.floor(s / 60) % 60;
  return h > 0 ? `${h}:${pad(m)}:${pad(s % 60)}` : `${m}:${pad(s % 60)}`;
}

/** 0.4 s, 12 s, 5 min 20 s, 3 h 58 min. The units are the same in the panel's languages. */
export function span(seconds: number, lang = 'en'): string {
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${fixed(s, 1, lang)} s`;
  const whole = Math.round(s);
  if (whole < 100) return `${whole} s`;
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`;
  const m = Math.floor(whole / 60) % 60;
  return m ? `${Math.floor(whole / 3600)} h ${m} min` : `${Math.floor(whole / 3600)} h`;
}

const fixedFormats = new Map<string, Intl.NumberFormat>();

export function fixed(value: number, digits: number, lang = 'en'): string {
  const name = `${lang}/${digits}`;
  let format = fixedFormats.get(name);
  if (!format) {
    format = new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
    fixedFormats.set(name, format);
  }
  return format.format(value);
}

/** 6.0 Mb/s */
export function rate(kbps: number, lang = 'en'): string {
  return kbps >= 1000 ? `${fixed(kbps / 1000, 1, lang)} Mb/s` : `${Math.round(kbps)} kb/s`;
}

export function bytes(n: number, lang = 'en'): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${fixed(value, unit === 0 || value >= 100 ? 0 : 1, lang)} ${units[unit]}`;
}

/** With a true minus sign, as wide as the plus. */
export function signed(value: number, digits: number, lang = 'en'): string {
  const text = fixed(Math.abs(value), digits, lang);
  if (Number(Math.abs(value).toFixed(digits)) === 0) return text;
  return value < 0 ? `−${text}` : `+${text}`;
}

/** dB or LUFS: −16.2, and – for silence. */
export function level(value: number | null | undefined, digits = 1, lang = 'en'): string {
  if (value === null || value === undefined) return '–';
  return value < 0 ? `−${fixed(-value, digits, lang)}` : fixed(value, digits, lang);
}

function wall(lang: string, zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const all = { ...options, hourCycle: 'h23' as const };
  // Day before month, as at every venue outside the United States.
  if (lang === 'en') lang = 'en-GB';
  try {
    return new Intl.DateTimeFormat(lang, { ...all, timeZone: zone || undefined });
  } catch {
    // A zone that this browser's tables don't have: the browser's own is better than none.
    return new Intl.DateTimeFormat(lang, all);
  }
}

const hm = { hour: '2-digit', minute: '2-digit' } as const;

export function timeOfDay(ms: number, zone: string, lang: string, seconds = false): string {
  return wall(lang, zone, seconds ? { ...hm, second: '2-digit' } : hm).format(ms);
}

export function dayAndTime(ms: number, zone: string, lang: string): string {
  return wall(lang, zone, { weekday: 'short', day: 'numeric', month: 'short', ...hm }).format(ms);
}

/** Rome, of Europe/Rome. */
export function city(zone: string): string {
  return (zone.split('/').pop() ?? zone).replaceAll('_', ' ');
}

/** Ids are what people chose: "fibre" is shown as Fibre. */
export function title(id: string): string {
  // Abbreviations that people say letter by letter.
  if (/^(lte|4g|5g|wan|lan|wifi|hdmi|sdi|usb|pip|ndi|srt)$/i.test(id)) return id.toLowerCase() === 'wifi' ? 'Wi-Fi' : id.toUpperCase();
  return id.charAt(0).toUpperCase() + id.slice(1);
}

const PLATFORMS: Record<string, string> = {
  linkedin: 'LinkedIn', youtube: 'YouTube', facebook: 'Facebook', vimeo: 'Vimeo', twitch: 'Twitch', x: 'X',
};

/** The platform's own spelling where the id is the platform's name. */
export function name(id: string): string {
  return PLATFORMS[id] ?? title(id);
}
