/**
 * The details panel.
 *
 * Law: it is built anew only when it says something else, and what had the focus has it again.
 */
import { button, make } from "./dom.ts";
import type { Choice } from "./pointing.ts";
import type { Item, Sheet } from "./sheet.ts";

export class Details {
  readonly #element: HTMLElement;
  readonly #choose: (choice: Choice | undefined) => void;
  #shown = "";

  constructor(element: HTMLElement, choose: (choice: Choice | undefined) => void) {
    this.#element = element;
    this.#choose = choose;
  }

  show(sheet: Sheet): void {
    const text = JSON.stringify(sheet);
    if (text === this.#shown) return;
    this.#shown = text;
    const focused = document.activeElement;
    const hadFocus = focused !== null && this.#element.contains(focused);
    const key = focused instanceof HTMLElement ? focused.dataset.key : undefined;
    this.#element.replaceChildren(this.#head(sheet), this.#lines(sheet), ...this.#lists(sheet));
    if (!hadFocus) return;
    const buttons = [...this.#element.querySelectorAll("button")];
    const again = buttons.find((other) => other.dataset.key === key) ?? this.#element;
    again.focus({ preventScroll: true });
  }

  #head({ kind, title }: Sheet): HTMLElement {
    const head = make(
      "header",
      "",
      make("p", "kind", kind),
      make("h2", "", make("bdi", "", title)),
    );
    if (kind !== "Mesh") {
      const close = button("\u00d7", "close", () => this.#choose(undefined));
      close.setAttribute("aria-label", "Close");
      head.append(close);
    }
    return head;
  }

  #lines({ lines }: Sheet): HTMLElement {
    const list = make("dl");
    for (const { name, items } of lines) {
      list.append(make("dt", "", name));
      for (const item of items) list.append(make("dd", "", this.#item(item)));
    }
    return list;
  }

  #lists({ lists }: Sheet): HTMLElement[] {
    return lists.flatMap(({ title, items }) => {
      const list = make("ul", "", ...items.map((item) => make("li", "", this.#item(item))));
      return [make("h3", "", title), ...(items.length === 0 ? [] : [list])];
    });
  }

  #item({ text, choice, tone, note, next }: Item): HTMLElement {
    const className = tone === undefined ? "" : `tone ${tone}`;
    if (choice === undefined) {
      const words = make("span", className, make("bdi", "", text));
      return next === undefined ? words : make("span", "", words, make("code", "next", next));
    }
    const link = button("", `link ${className}`, () => this.#choose(choice));
    link.append(make("bdi", "", text));
    link.dataset.key = `${choice.kind} ${choice.key}`;
    return note === undefined ? link : make("span", "", link, make("span", "note", ` ${note}`));
  }
}
