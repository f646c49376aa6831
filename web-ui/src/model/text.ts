// Placeholders and plurals. Pure.

export type Plural = Partial<Record<Intl.LDMLPluralRule, string>>;
export type Texts = Record<string, string | Plural>;
export type Vars = Record<string, string | number>;

const rules = new Map<string, Intl.PluralRules>();

function category(lang: string, n: number): Intl.LDMLPluralRule {
  let rule = rules.get(lang);
  if (!rule) {
    rule = new Intl.PluralRules(lang);
    rules.set(lang, rule);
  }
  return rule.select(n);
}

/** `n` chooses the plural; `{name}` is replaced by the variable of that name. */
export function say(texts: Texts, fallback: Texts, lang: string, key: string, vars: Vars = {}): string {
  const text = texts[key] ?? fallback[key] ?? key;
  const form = typeof text === 'string' ? text : (text[category(lang, Number(vars.n ?? 0))] ?? text.other ?? key);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => String(vars[name] ?? whole));
}

export const LANGUAGES = { en: 'English', it: 'Italiano', sk: 'Slovenčina', 'zh-CN': '简体中文' } as const;
export type Language = keyof typeof LANGUAGES;

/** The first of the wanted languages that there is. */
export function choose(wanted: readonly string[]): Language {
  for (const want of wanted) {
    const base = want.toLowerCase().split('-')[0];
    if (base === 'zh') return 'zh-CN';
    // Who reads Czech reads Slovak.
    if (base === 'cs') return 'sk';
    if (base === 'en' || base === 'it' || base === 'sk') return base;
  }
  return 'en';
}
