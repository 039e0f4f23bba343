/**
 * The map's canvas with pointer, wheel and keys.
 *
 * Law: drawn only when something changed, at most once a frame. All that the pointer can do the
 * keys can do too; what is chosen is said by the page, which a canvas cannot.
 */
import { make } from "./dom.ts";
import { drawMap } from "./draw.ts";
import type { Frame } from "./frame.ts";
import type { Graph } from "./graph.ts";
import { layout, type Point, type Scene } from "./layout.ts";
import { type Look, readLook } from "./look.ts";
import {
  boxOf,
  type Choice,
  type Direction,
  firstInside,
  nextIn,
  outside,
  thingAt,
} from "./pointing.ts";
import type { Found } from "./search.ts";
import { fit, type Room, toMap, type View, withSight, zoomed } from "./view.ts";

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};
const ZOOMS: Readonly<Record<string, number>> = { "+": 1.25, "=": 1.25, "-": 0.8 };
/** A pointer that moves less between down and up has clicked. */
const CLICK_PIXELS = 5;

export class MapView {
  readonly #element: HTMLElement;
  readonly #canvas = make("canvas");
  readonly #context: CanvasRenderingContext2D;
  readonly #choose: (choice: Choice | undefined) => void;
  #graph: Graph | undefined;
  #scene: Scene | undefined;
  #room: Room = { width: 0, height: 0 };
  /** Undefined: all of it is shown, whatever comes. */
  #view: View | undefined;
  #look: Look;
  #choice: Choice | undefined;
  #hover: Choice | undefined;
  #found: Found | undefined;
  #isDue = false;
  #drag: { readonly from: Point; readonly view: View; isMoved: boolean } | undefined;

  constructor(element: HTMLElement, choose: (choice: Choice | undefined) => void) {
    this.#element = element;
    this.#choose = choose;
    this.#look = readLook(element);
    const context = this.#canvas.getContext("2d");
    if (context === null) throw new Error("this browser has no canvas");
    this.#context = context;
    this.#canvas.setAttribute("aria-hidden", "true");
    element.append(this.#canvas);
    new ResizeObserver(() => this.#measure()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#look = readLook(element);
      this.#due();
    });
    this.#listen();
  }

  show(graph: Graph, found: Found | undefined): void {
    if (graph !== this.#graph) {
      this.#graph = graph;
      this.#arrange();
    }
    this.#found = found;
    this.#due();
  }

  /** At once, not with the next frame: the next key goes on from here. */
  mark(choice: Choice | undefined): void {
    this.#choice = choice;
    const box = this.#scene && boxOf(this.#scene, choice);
    if (box !== undefined && this.#view !== undefined) {
      this.#view = withSight(this.#view, box, this.#room);
    }
    this.#due();
  }

  fitAll(): void {
    this.#view = undefined;
    this.#due();
  }

  /** Around the middle, or a point of the canvas. */
  zoom(factor: number, at?: Point): void {
    const middle = { x: this.#room.width / 2, y: this.#room.height / 2 };
    this.#view = zoomed(this.#seen(), factor, at ?? middle);
    this.#due();
  }

  #measure(): void {
    const { clientWidth: width, clientHeight: height } = this.#element;
    this.#room = { width, height };
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    this.#arrange();
    this.#draw();
  }

  #arrange(): void {
    const { width, height } = this.#room;
    if (this.#graph === undefined || width === 0 || height === 0) return;
    this.#scene = layout(this.#graph, width / height);
  }

  #seen(): View {
    const bounds = this.#scene?.bounds ?? { x: 0, y: 0, width: 1, height: 1 };
    return this.#view ?? fit(bounds, this.#room);
  }

  #due(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#isDue = false;
    const [graph, scene] = [this.#graph, this.#scene];
    if (graph === undefined || scene === undefined || this.#room.width === 0) return;
    const frame: Frame = {
      graph,
      scene,
      view: this.#seen(),
      room: this.#room,
      look: this.#look,
      choice: this.#choice,
      hover: this.#hover,
      found: this.#found,
    };
    drawMap(this.#context, frame, devicePixelRatio);
  }

  #listen(): void {
    const element = this.#element;
    element.addEventListener("keydown", (event) => this.#onKey(event));
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      this.#drag = { from: placeOf(event), view: this.#seen(), isMoved: false };
    });
    element.addEventListener("pointermove", (event) => this.#onMove(placeOf(event)));
    element.addEventListener("pointerup", (event) => {
      if (this.#drag?.isMoved === false) this.#choose(this.#thingAt(placeOf(event)));
      this.#drag = undefined;
    });
    element.addEventListener("pointerleave", () => this.#point(undefined));
    element.addEventListener("dblclick", () => this.fitAll());
    element.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY / 400), placeOf(event));
      },
      { passive: false },
    );
  }

  #onMove(at: Point): void {
    const drag = this.#drag;
    if (drag === undefined) {
      this.#point(this.#thingAt(at));
      return;
    }
    const [dx, dy] = [at.x - drag.from.x, at.y - drag.from.y];
    drag.isMoved ||= Math.hypot(dx, dy) > CLICK_PIXELS;
    if (!drag.isMoved) return;
    this.#view = { scale: drag.view.scale, x: drag.view.x + dx, y: drag.view.y + dy };
    this.#due();
  }

  #point(thing: Choice | undefined): void {
    if (thing?.key === this.#hover?.key) return;
    this.#hover = thing;
    this.#element.classList.toggle("pointing", thing !== undefined);
    this.#due();
  }

  #thingAt(at: Point): Choice | undefined {
    return this.#scene && thingAt(this.#scene, toMap(this.#seen(), at));
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#scene === undefined) return;
    const arrow = ARROWS[event.key];
    const factor = ZOOMS[event.key];
    if (arrow !== undefined) this.#choose(nextIn(this.#scene, this.#choice, arrow));
    else if (event.key === "Enter") this.#choose(firstInside(this.#scene, this.#choice));
    else if (event.key === "Escape") this.#choose(outside(this.#scene, this.#choice));
    else if (event.key === "0") this.fitAll();
    else if (factor !== undefined) this.zoom(factor);
    else return;
    event.preventDefault();
  }
}

function placeOf({ offsetX, offsetY }: MouseEvent): Point {
  return { x: offsetX, y: offsetY };
}
