// Two ways to do the same: with a pointer, and with the keyboard alone. The keyboard reaches nothing that Tab does not reach.

const HOLD_MS = 1_900;
const TABS = 150;

export class Pointer {
  name = 'pointer';
  constructor(page) {
    this.page = page;
  }

  async press(target) {
    await target.click();
  }

  async hold(target) {
    await target.scrollIntoViewIfNeeded();
    const box = await target.boundingBox();
    await this.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await this.page.mouse.down();
    await this.page.waitForTimeout(HOLD_MS);
    await this.page.mouse.up();
  }

  async type(target, text) {
    await target.fill(text);
  }

  async choose(target, value) {
    await target.selectOption(value);
  }
}

export class Keyboard {
  name = 'keyboard';
  constructor(page) {
    this.page = page;
  }

  async reach(target) {
    await target.waitFor({ state: 'visible' });
    for (let tab = 0; tab < TABS; tab += 1) {
      if (await target.evaluate((element) => element === document.activeElement)) {
        const seen = await target.evaluate((element) => {
          const style = getComputedStyle(element);
          return element.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
        });
        // The ring of a tick box or of a hidden file field may be drawn by what is around it.
        if (!seen && !(await target.evaluate((element) => element.matches('[type=checkbox], [type=file]')))) throw new Error(`the focus on ${target} can't be seen`);
        return;
      }
      await this.page.keyboard.press('Tab');
    }
    throw new Error(`Tab does not reach ${target}`);
  }

  async press(target) {
    await this.reach(target);
    const tick = await target.evaluate((element) => element.matches('[type=checkbox], [type=radio]'));
    await this.page.keyboard.press(tick ? 'Space' : 'Enter');
  }

  async hold(target) {
    await this.reach(target);
    await this.page.keyboard.down('Enter');
    await this.page.waitForTimeout(HOLD_MS);
    await this.page.keyboard.up('Enter');
  }

  async type(target, text) {
    await this.reach(target);
    await this.page.keyboard.press('Control+A');
    await this.page.keyboard.press('Delete');
    await this.page.keyboard.type(text);
  }

  async choose(target, value) {
    await this.reach(target);
    const steps = await target.evaluate((element, wanted) => [...element.options].findIndex((option) => option.value === wanted) - element.selectedIndex, value);
    for (let step = 0; step < Math.abs(steps); step += 1) await this.page.keyboard.press(steps > 0 ? 'ArrowDown' : 'ArrowUp');
  }
}
