// A field is named by its first line alone; its hint describes it.

let next = 0;

/** For a label that holds its name, its control and a hint. */
export function described(label: HTMLElement) {
  const name = label.querySelector<HTMLElement>(':scope > span:not(.hint)');
  const hint = label.querySelector<HTMLElement>(':scope > .hint');
  const control = label.querySelector<HTMLElement>('input, select, textarea');
  if (!name || !hint || !control) return;
  next += 1;
  name.id = `name-${next}`;
  hint.id = `hint-${next}`;
  control.setAttribute('aria-labelledby', name.id);
  control.setAttribute('aria-describedby', hint.id);
}
