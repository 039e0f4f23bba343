/**
 * The page: one state (what the daemon says, what is chosen, what is searched for), shown by the
 * map, the list, the legend and the details.
 */
import { Details } from "./details.ts";
import { button, byId, make, setText } from "./dom.ts";
import { type Graph, graphOf } from "./graph.ts";
import { List } from "./list.ts";
import { MapView } from "./map-view.ts";
import type { MapModel } from "./model.ts";
import type { Choice } from "./pointing.ts";
import { type Found, find } from "./search.ts";
import { sheetOf } from "./sheet.ts";
import { listen } from "./stream.ts";
import { tablesOf } from "./tables.ts";
import { Tabs } from "./tabs.ts";
import { count } from "./words.ts";

const search = byId("search") as HTMLInputElement;
const map = new MapView(byId("map"), choose);
const list = new List(byId("tables"), choose);
const details = new Details(byId("details"), choose);
const tabs = new Tabs(["map", "list"], () => render());

let graph: Graph | undefined;
let choice: Choice | undefined;
let found: Found | undefined;
let isRenderDue = false;

listen({ onModel, onLive });
search.addEventListener("input", () => {
  refind();
  render();
});
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") chooseNextFound();
});
byId("zoom-in").addEventListener("click", () => map.zoom(1.25));
byId("zoom-out").addEventListener("click", () => map.zoom(0.8));
byId("zoom-fit").addEventListener("click", () => map.fitAll());
byId("health").addEventListener("click", () => {
  choose(undefined);
  byId("details").focus();
});

function onModel(model: MapModel): void {
  // Rows of another version are for the page of that version.
  if (graph !== undefined && graph.summary.version !== model.summary.version) location.reload();
  graph = graphOf(model);
  refind();
  render();
}

function onLive(isLive: boolean): void {
  document.body.classList.toggle("stale", !isLive);
  setText(byId("live"), isLive ? "live" : "no news from the daemon; this is the last picture");
}

function choose(next: Choice | undefined): void {
  choice = next;
  map.mark(choice);
  render();
  const sheet = graph && sheetOf(graph, choice);
  const state = sheet?.lines.find(({ name }) => name === "State")?.items[0]?.text;
  const words = [sheet?.kind, sheet?.title, state].filter((word) => word !== undefined);
  setText(byId("said"), words.join(", "));
}

function refind(): void {
  if (graph === undefined) return;
  found = find(graph, search.value);
  const sizes = found && [
    count(found.hosts.size, "host"),
    count(found.networks.size, "network"),
    count(found.containers.size, "container"),
  ];
  setText(byId("found"), sizes?.join(", ") ?? "");
}

/** The first that was found, then the one after the chosen one. */
function chooseNextFound(): void {
  const keys = (kind: Choice["kind"], set: ReadonlySet<string> | undefined): Choice[] =>
    [...(set ?? [])].map((key) => ({ kind, key }));
  const all = [
    ...keys("host", found?.hosts),
    ...keys("network", found?.networks),
    ...keys("container", found?.containers),
  ];
  const at = all.findIndex(({ kind, key }) => kind === choice?.kind && key === choice.key);
  if (all.length > 0) choose(all[(at + 1) % all.length]);
}

/** Once a frame, however much came. A page that is not seen waits. */
function render(): void {
  if (isRenderDue) return;
  isRenderDue = true;
  requestAnimationFrame(() => {
    isRenderDue = false;
    if (graph !== undefined) renderNow(graph);
  });
}

function renderNow(now: Graph): void {
  let sheet = sheetOf(now, choice);
  if (sheet === undefined) {
    choice = undefined;
    map.mark(choice);
    sheet = sheetOf(now, undefined);
  }
  if (sheet !== undefined) details.show(sheet);
  if (tabs.chosen === "map") map.show(now, found);
  else list.show(tablesOf(now, found), choice);
  showHead(now);
  showLegend(now);
}

function showHead({ summary, hosts }: Graph): void {
  const self = hosts.find((host) => host.self);
  document.title = `${self?.name ?? ""} - tsweave map`;
  const bad = summary.problems.length;
  const health = byId("health");
  health.className = `pill ${bad === 0 ? "good" : "bad"}`;
  setText(health, bad === 0 ? "health OK" : count(bad, "problem"));
}

function showLegend({ networks }: Graph): void {
  const legend = byId("networks");
  const wanted = networks.map(({ name, colour }) => `${colour} ${name}`).join("\n");
  if (legend.dataset.shown !== wanted) {
    legend.dataset.shown = wanted;
    legend.replaceChildren(
      ...networks.map(({ name, colour }) => {
        const toggle = button("", "network", () => {
          choose(isChosen(name) ? undefined : { kind: "network", key: name });
        });
        toggle.append(make("i", `net-${colour}`), make("bdi", "", name));
        return make("li", "", toggle);
      }),
    );
  }
  [...legend.querySelectorAll("button")].forEach((toggle, at) => {
    toggle.setAttribute("aria-pressed", String(isChosen(networks[at]?.name ?? "")));
  });
}

function isChosen(network: string): boolean {
  return choice?.kind === "network" && choice.key === network;
}
