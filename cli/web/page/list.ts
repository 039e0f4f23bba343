/**
 * The list view: real tables with the same facts as the map.
 *
 * Law: rows are kept by key, so an update moves neither the focus nor the place that is read.
 */
import { button, make, setText } from "./dom.ts";
import type { Choice } from "./pointing.ts";
import type { Row, Table } from "./tables.ts";

interface Drawn {
  readonly element: HTMLTableRowElement;
  text: string;
}

export class List {
  readonly #element: HTMLElement;
  readonly #choose: (choice: Choice) => void;
  /** BOUNDED: one of each of the three tables. */
  readonly #tables = new Map<string, TableView>();

  constructor(element: HTMLElement, choose: (choice: Choice) => void) {
    this.#element = element;
    this.#choose = choose;
  }

  show(tables: readonly Table[], choice: Choice | undefined): void {
    for (const table of tables) {
      const view = this.#tables.get(table.caption) ?? new TableView(table, this.#choose);
      if (!this.#tables.has(table.caption)) this.#element.append(view.element);
      this.#tables.set(table.caption, view);
      view.show(table, choice);
    }
  }
}

class TableView {
  readonly element: HTMLElement;
  readonly #caption = make("caption");
  readonly #body = make("tbody");
  readonly #choose: (choice: Choice) => void;
  /** BOUNDED: the rows of the table, which the daemon bounds. */
  readonly #rows = new Map<string, Drawn>();

  constructor({ columns }: Table, choose: (choice: Choice) => void) {
    this.#choose = choose;
    const head = make("tr");
    for (const column of columns) {
      const cell = make("th", "", column);
      cell.scope = "col";
      head.append(cell);
    }
    const table = make("table", "", this.#caption, make("thead", "", head), this.#body);
    this.element = make("div", "table", table);
  }

  show({ caption, rows, hidden }: Table, choice: Choice | undefined): void {
    const more = hidden === 0 ? "" : `, ${hidden} not found`;
    setText(this.#caption, `${caption} (${rows.length}${more})`);
    const kept = new Set(rows.map((row) => row.choice.key));
    for (const [key, { element }] of this.#rows) {
      if (kept.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    // Rows that stay in their order are not moved: a moved one would lose the focus.
    let before: ChildNode | null = this.#body.firstChild;
    for (const row of rows) {
      const element = this.#rowFor(row, isSameChoice(row.choice, choice));
      if (element === before) before = before.nextSibling;
      else this.#body.insertBefore(element, before);
    }
  }

  #rowFor(row: Row, isChosen: boolean): HTMLTableRowElement {
    const { key } = row.choice;
    const drawn = this.#rows.get(key) ?? { element: this.#newRow(row), text: "" };
    this.#rows.set(key, drawn);
    drawn.element.classList.toggle("chosen", isChosen);
    const text = JSON.stringify(row);
    if (text !== drawn.text) fill(drawn.element, row);
    drawn.text = text;
    return drawn.element;
  }

  #newRow({ choice, cells }: Row): HTMLTableRowElement {
    const name = make(
      "th",
      "",
      button("", "link", () => this.#choose(choice)),
    );
    name.scope = "row";
    return make("tr", "", name, ...cells.slice(1).map(() => make("td")));
  }
}

function fill(element: HTMLTableRowElement, { cells, tone }: Row): void {
  element.dataset.tone = tone;
  cells.forEach((text, at) => {
    const cell = element.cells[at];
    if (cell === undefined) return;
    setText(cell.querySelector("button") ?? cell, text);
  });
}

function isSameChoice(one: Choice, other: Choice | undefined): boolean {
  return one.kind === other?.kind && one.key === other.key;
}
