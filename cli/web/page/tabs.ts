/** Map or list: tabs as assistive technology knows them, one tab stop with arrows in it. */
import { byId } from "./dom.ts";

export class Tabs {
  chosen: string;
  readonly #names: readonly string[];
  readonly #onChange: () => void;

  /** Each name has a `#NAME-tab` and a `#NAME-panel`; the first is shown. */
  constructor(names: readonly [string, ...string[]], onChange: () => void) {
    this.#names = names;
    this.chosen = names[0];
    this.#onChange = onChange;
    names.forEach((name, at) => {
      const tab = byId(`${name}-tab`);
      tab.addEventListener("click", () => this.#choose(name));
      tab.addEventListener("keydown", ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        const next = names[(at + (step ?? 0) + names.length) % names.length];
        if (step === undefined || next === undefined) return;
        this.#choose(next);
        byId(`${next}-tab`).focus();
      });
    });
    this.#show();
  }

  #choose(name: string): void {
    this.chosen = name;
    this.#show();
    this.#onChange();
  }

  #show(): void {
    for (const name of this.#names) {
      const tab = byId(`${name}-tab`);
      tab.setAttribute("aria-selected", String(name === this.chosen));
      tab.tabIndex = name === this.chosen ? 0 : -1;
      byId(`${name}-panel`).hidden = name !== this.chosen;
    }
  }
}
