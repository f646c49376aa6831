// A field is named by its first line alone: not by its hint, which describes it, nor by all the choices it has.

let next = 0;

/** For a label that holds its name, its control and perhaps a hint. */
export function described(label: HTMLElement) {
  const name = label.querySelector<HTMLElement>(':scope > span:not(.hint)');
  const hint = label.querySelector<HTMLElement>(':scope > .hint');
  const control = label.querySelector<HTMLElement>('input, select, textarea');
  if (!name || !control) return;
  next += 1;
  name.id = `name-${next}`;
  control.setAttribute('aria-labelledby', name.id);
  if (!hint) return;
  hint.id = `hint-${next}`;
  control.setAttribute('aria-describedby', hint.id);
}
