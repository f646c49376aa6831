// The panel's words. English is there from the start; another language comes when it is chosen.

import en from '../locales/en.json';
import { type Language, type Texts, type Vars, choose, say } from '../model/text';

export type Key = keyof typeof en;

const loaders: Record<Exclude<Language, 'en'>, () => Promise<{ default: unknown }>> = {
  it: () => import('../locales/it.json'),
  sk: () => import('../locales/sk.json'),
  'zh-CN': () => import('../locales/zh-CN.json'),
};

const STORED = 'regia.language';

class Words {
  lang = $state<Language>('en');
  private texts = $state.raw<Texts>(en as Texts);

  async use(lang: Language) {
    let texts = en as Texts;
    if (lang !== 'en') {
      try {
        texts = (await loaders[lang]()).default as Texts;
      } catch {
        // The network is gone: the words that are here are better than none.
        return;
      }
    }
    this.texts = texts;
    this.lang = lang;
    document.documentElement.lang = lang;
  }

  async start() {
    const stored = localStorage.getItem(STORED);
    await this.use(choose(stored ? [stored] : navigator.languages));
  }

  async pick(lang: Language) {
    localStorage.setItem(STORED, lang);
    await this.use(lang);
  }

  say(key: string, vars?: Vars): string {
    return say(this.texts, en as Texts, this.lang, key, vars);
  }
}

export const words = new Words();
export const t = (key: Key, vars?: Vars) => words.say(key, vars);
/** Of a key that is put together; `npm test` sees that all of them are there. */
export const tt = (key: string, vars?: Vars) => words.say(key, vars);
