/** The map without a browser: rows, differences, graph, places, words, page and policy. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ENDPOINTS_MAX, mapModel } from "../../../cli/web/map-model.ts";
import { frame } from "../../../cli/web/map-stream.ts";
import { applied, changesBetween } from "../../../cli/web/page/changes.ts";
import { COLOURS, graphOf, titleOf } from "../../../cli/web/page/graph.ts";
import { type Box, layout } from "../../../cli/web/page/layout.ts";
import type { MapModel } from "../../../cli/web/page/model.ts";
import {
  type Choice,
  firstInside,
  nextIn,
  outside,
  thingAt,
} from "../../../cli/web/page/pointing.ts";
import { find } from "../../../cli/web/page/search.ts";
import { sheetOf } from "../../../cli/web/page/sheet.ts";
import { tablesOf } from "../../../cli/web/page/tables.ts";
import { fit, toMap, withSight, zoomed } from "../../../cli/web/page/view.ts";
import { shown } from "../../../cli/web/page/words.ts";
import { mapPage } from "../../../cli/web/page.ts";
import { ROOT } from "../../lib/sources.ts";
import { EVIL, MeshFacts } from "./fixture-map.ts";

const small = { hosts: 5, containers: 30, networks: 3 };

describe("the map's rows", () => {
  it("say who is where, and what this host knows of the way there", () => {
    const facts = new MeshFacts(small);
    facts.trouble();
    const { hosts, endpoints, networks, summary } = mapModel(facts);
    assert.deepEqual(
      hosts.map(({ name, state, self, direct, fault }) => [name, state, self, direct, fault]),
      [
        ["host1", "alive", true, null, null],
        ["host2", "alive", false, false, "refused"],
        ["host3", "alive", false, true, null],
        ["host4", "suspect", false, true, null],
        ["host5", "dead", false, true, null],
      ],
    );
    const keys = new Set(hosts.map(({ key }) => key));
    assert.ok(endpoints.length === 33 && endpoints.every(({ host }) => keys.has(host)));
    assert.equal(networks.length, 3);
    assert.deepEqual(
      summary.problems.map(({ code }) => code),
      ["PEER_SUSPECT"],
    );
  });

  it("do not change with time alone", () => {
    const facts = new MeshFacts(small);
    const before = mapModel(facts);
    const { status } = facts;
    Object.assign(facts, {
      status: () => {
        const whole = status();
        const kernel = { ...whole.kernel, lastReconcileAgeSeconds: 29, lastReconcileMs: 15 };
        return { ...whole, uptimeSeconds: whole.uptimeSeconds + 60, kernel };
      },
    });
    for (const row of facts.connectionRows) row.sinceSeconds += 60;
    for (const row of facts.peerRows) row.rttMs = row.rttMs === null ? null : row.rttMs + 1e-4;
    assert.equal(changesBetween(before, mapModel(facts)), undefined);
  });

  it("are bounded, and say how many there are besides", () => {
    const facts = new MeshFacts({ hosts: 3, containers: ENDPOINTS_MAX + 500, networks: 1 });
    const { endpoints, summary } = mapModel(facts);
    assert.equal(endpoints.length, ENDPOINTS_MAX);
    assert.deepEqual(summary.hidden, { hosts: 0, endpoints: 500 });
  });

  it("tell two peers of one name apart, and keep endpoints of a peer that is forgotten", () => {
    const facts = new MeshFacts({ hosts: 3, containers: 3, networks: 1 });
    const [, second, third] = facts.peerRows;
    const [, onSecond, onThird] = facts.endpointRows;
    assert.ok(second && third && onSecond && onThird);
    third.name = second.name;
    onThird.peer = second.name;
    const twins = mapModel(facts);
    assert.deepEqual(
      twins.endpoints.map(({ host }) => host),
      facts.peerRows.map(({ id }) => id),
    );
    onThird.peer = "f".repeat(32);
    const { hosts, endpoints } = mapModel(facts);
    assert.equal(endpoints[2]?.host, "f".repeat(32));
    assert.equal(hosts.find(({ key }) => key === "f".repeat(32))?.state, "dead");
  });
});

describe("differences", () => {
  const models = fc
    .record({
      hosts: fc.integer({ min: 0, max: 4 }),
      containers: fc.integer({ min: 0, max: 12 }),
      networks: fc.integer({ min: 1, max: 3 }),
      isTroubled: fc.boolean(),
      dropped: fc.nat(12),
      renamed: fc.option(fc.string()),
    })
    .map(({ isTroubled, dropped, renamed, ...size }) => {
      const facts = new MeshFacts(size);
      if (isTroubled) facts.trouble();
      facts.endpointRows.splice(dropped, 1);
      const [first] = facts.endpointRows;
      if (first !== undefined && renamed !== null) first.name = renamed;
      return mapModel(facts);
    });

  const byKey = ({ summary, ...tables }: MapModel) => ({
    summary,
    ...Object.fromEntries(
      Object.entries(tables).map(([name, rows]) => [
        name,
        new Map(rows.map((row) => [row.key, row])),
      ]),
    ),
  });

  it("applied to the old give the new, and nothing is said of nothing", () => {
    fc.assert(
      fc.property(models, models, (before, after) => {
        const changes = changesBetween(before, after);
        const wire = changes && JSON.parse(JSON.stringify(changes));
        const made = wire === undefined ? before : applied(before, wire);
        assert.deepEqual(byKey(made), byKey(after));
        assert.equal(changesBetween(made, after), undefined);
      }),
    );
  });

  it("hold only the rows that changed", () => {
    const facts = new MeshFacts({ hosts: 50, containers: 1000, networks: 6 });
    const before = mapModel(facts);
    const row = facts.endpointRows[500];
    assert.ok(row);
    row.name = "renamed";
    const changes = changesBetween(before, mapModel(facts));
    assert.deepEqual(Object.keys(changes ?? {}), ["endpoints"]);
    assert.equal(changes?.endpoints?.set.length, 1);
    assert.ok(frame("changes", changes).length < 500);
  });

  it("are framed as one event, whatever the names hold", () => {
    const text = frame("changes", { name: `${EVIL}\r\n\ndata: x\n\nevent: y` });
    assert.match(text, /^event: changes\ndata: [^\r\n]*\n\n$/);
    const [, data = ""] = /data: (.*)\n/.exec(text) ?? [];
    assert.equal(JSON.parse(data).name.startsWith(EVIL), true);
  });
});

describe("the graph", () => {
  it("has each endpoint once, those of one name on one host as one container", () => {
    const model = mapModel(new MeshFacts({ hosts: 4, containers: 40, networks: 3 }));
    const graph = graphOf(model);
    const containers = graph.hosts.flatMap((host) => host.containers);
    assert.equal(containers.length, 40);
    const parts = containers.flatMap((one) => one.parts.map(({ key }) => key));
    assert.deepEqual(parts.toSorted(), model.endpoints.map(({ key }) => key).toSorted());
    assert.equal(containers.filter((one) => one.parts.length === 2).length, 4);
  });

  it("does not take two endpoints on one network for one container", () => {
    const facts = new MeshFacts({ hosts: 1, containers: 2, networks: 1 });
    for (const row of facts.endpointRows) row.name = "same";
    assert.equal(graphOf(mapModel(facts)).containers.size, 2);
    for (const row of facts.endpointRows) row.name = "";
    const [one] = graphOf(mapModel(facts)).containers.values();
    assert.match(one === undefined ? "" : titleOf(one), /^[0-9a-f]{12}$/);
  });

  it("does not depend on the order of rows", () => {
    const model = mapModel(new MeshFacts(small));
    const { hosts, networks, endpoints } = model;
    const turned = {
      ...model,
      hosts: hosts.toReversed(),
      networks: networks.toReversed(),
      endpoints: endpoints.toReversed(),
    };
    assert.deepEqual(layout(graphOf(turned), 1.5), layout(graphOf(model), 1.5));
  });
});

describe("the layout", () => {
  const isApart = (a: Box, b: Box): boolean =>
    a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
  const overhang = (a: Box, b: Box): number =>
    Math.max(b.x - a.x, b.y - a.y, a.x + a.width - b.x - b.width, a.y + a.height - b.y - b.height);
  const isWithin = (a: Box, b: Box): boolean => overhang(a, b) < 1e-6;

  it("overlaps nothing and holds everything, at any size and shape", () => {
    for (const hosts of [0, 1, 2, 3, 4, 9, 10, 19, 50]) {
      for (const [containers, aspect] of [
        [0, 1.5],
        [hosts * 3, 0.4],
        [hosts * 20, 3],
        [700, 1.5],
      ] as const) {
        const size = { hosts, containers: hosts === 0 ? 0 : containers, networks: 3 };
        const { cards, bounds } = layout(graphOf(mapModel(new MeshFacts(size))), aspect);
        assert.equal(cards.length, hosts);
        cards.forEach((card, at) => {
          assert.ok(isWithin(card, bounds));
          assert.ok(cards.slice(at + 1).every((other) => isApart(card, other)));
          assert.ok(card.spots.every((spot) => isWithin(spot, card)));
          const [first, ...rest] = card.spots;
          assert.ok(rest.every((spot) => first !== undefined && isApart(first, spot)));
        });
      }
    }
  });

  it("lets the pointer and the keys reach everything", () => {
    for (const size of [small, { hosts: 21, containers: 300, networks: 6 }]) {
      const scene = layout(graphOf(mapModel(new MeshFacts(size))), 1.4);
      for (const { host, spots, x, y } of scene.cards) {
        assert.deepEqual(thingAt(scene, { x: x + 2, y: y + 2 }), { kind: "host", key: host.key });
        for (const { container, ...box } of spots) {
          const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
          assert.deepEqual(thingAt(scene, middle)?.key, container.key);
        }
      }
      const start = nextIn(scene, undefined, "right");
      assert.equal(walk(scene, start).size, size.hosts);
      const inside = firstInside(scene, start);
      assert.equal(inside?.kind, "container");
      assert.equal(walk(scene, inside).size, size.containers);
      assert.deepEqual(outside(scene, inside), start);
      assert.equal(outside(scene, start), undefined);
    }
  });

  function walk(scene: Parameters<typeof nextIn>[0], start: Choice | undefined): Set<string> {
    const seen = new Set<string>();
    const open = [start];
    for (let one = open.pop(); one !== undefined; one = open.pop()) {
      if (seen.has(one.key)) continue;
      seen.add(one.key);
      for (const way of ["left", "right", "up", "down"] as const)
        open.push(nextIn(scene, one, way));
    }
    return seen;
  }

  it("fits, zooms around a point, and moves what is chosen into sight", () => {
    const room = { width: 900, height: 600 };
    const bounds = { x: -300, y: -80, width: 4000, height: 700 };
    const view = fit(bounds, room);
    const [corner, end] = [toMap(view, { x: 0, y: 0 }), toMap(view, { x: 900, y: 600 })];
    assert.ok(corner.x <= bounds.x && end.x >= 3700 && corner.y <= bounds.y && end.y >= 620);
    const at = { x: 120, y: 40 };
    const nearer = zoomed(view, 3, at);
    const [was, is] = [toMap(view, at), toMap(nearer, at)];
    assert.ok(Math.hypot(was.x - is.x, was.y - is.y) < 1e-6 && nearer.scale > view.scale);
    const box = { x: 3600, y: 500, width: 50, height: 20 };
    const moved = withSight(nearer, box, room);
    const place = toMap(moved, { x: 900, y: 600 });
    assert.ok(place.x >= 3650 && toMap(moved, { x: 0, y: 0 }).x <= 3600);
    assert.deepEqual(withSight(moved, box, room), moved);
  });
});

describe("search, details and tables", () => {
  const facts = new MeshFacts(small);
  facts.trouble();
  const graph = graphOf(mapModel(facts));

  it("finds by name, address, network, alias and host, all words together", () => {
    assert.equal(find(graph, "  "), undefined);
    const names = (query: string) =>
      [...(find(graph, query)?.containers ?? [])].map((key) => graph.containers.get(key)?.name);
    assert.deepEqual(names("WEB-2"), ["web-2"]);
    assert.deepEqual(names("000000001005"), ["mail-1"]);
    assert.ok(names("host2 tsweave").length > 0 && names("host2").length === 6);
    assert.deepEqual(names("host2 host3"), []);
    assert.deepEqual([...(find(graph, "192.168.48.13")?.hosts ?? [])].length, 1);
    assert.deepEqual([...(find(graph, "10.33.0.0/16")?.networks ?? [])], ["backend"]);
  });

  it("shows everything that can be chosen, and nothing of what is gone", () => {
    for (const { rows, columns } of tablesOf(graph, undefined)) {
      assert.ok(rows.length > 0);
      for (const { choice, cells } of rows) {
        assert.equal(cells.length, columns.length);
        assert.equal(sheetOf(graph, choice)?.title, cells[0]);
      }
    }
    assert.equal(sheetOf(graph, { kind: "container", key: "no such" }), undefined);
    const [health] = sheetOf(graph, undefined)?.lists ?? [];
    assert.deepEqual(health?.items[0]?.next, "check host2 and the network to it");
    const host2 = graph.hosts.find(({ name }) => name === "host2");
    const sheet = sheetOf(graph, { kind: "host", key: host2?.key ?? "" });
    const path = sheet?.lines.find(({ name }) => name === "Gossip")?.items[0]?.text;
    assert.equal(path, "only others reach it (the port is closed)");
  });

  it("shows names on one line, without turning the text around them", () => {
    assert.doesNotMatch(shown(EVIL), /[\n\u202e]/);
    assert.equal(shown("w\u00e9b \u{1f600} \u05d0"), "w\u00e9b \u{1f600} \u05d0");
  });
});

describe("the colours", () => {
  const css = readFileSync(join(ROOT, "cli/web/page/map.css"), "utf8");
  const [light = "", dark = ""] = css.split("prefers-color-scheme: dark");

  function luminance(text: string, name: string): number {
    const [, hex = ""] = new RegExp(`--${name}: #([0-9a-f]{6});`).exec(text) ?? [];
    const [r = 0, g = 0, b = 0] = [0, 2, 4].map((at) => {
      const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }

  it("have the contrast of WCAG AA in light and in dark", () => {
    for (const text of [light, dark]) {
      for (const ground of ["card", "ground"]) {
        const words = ["text", "faint", "accent", "good", "warn", "bad"].map((name) => [name, 4.5]);
        const marks = Array.from({ length: COLOURS }, (_, at) => [`net-${at}`, 3]);
        for (const [name, least] of [...words, ...marks, ["off", 3]] as [string, number][]) {
          const pair = [luminance(text, name), luminance(text, ground)].sort((a, b) => b - a);
          const contrast = ((pair[0] ?? 0) + 0.05) / ((pair[1] ?? 0) + 0.05);
          assert.ok(contrast >= least, `${name} on ${ground}: ${contrast.toFixed(2)}`);
        }
      }
    }
  });
});

describe("the page", () => {
  const { body, headers } = mapPage();

  it("has a policy that is what it needs: its script and style by hash, this listener", () => {
    const hashed = (element: string): string => {
      const [, rest = ""] = body.split(`<${element}>`);
      const [text = ""] = rest.split(`</${element}>`);
      assert.ok(text.length > 1000, element);
      return `'sha256-${createHash("sha256").update(text, "utf8").digest("base64")}'`;
    };
    assert.equal(
      headers["content-security-policy"],
      [
        "default-src 'none'",
        `script-src ${hashed("script")}`,
        `style-src ${hashed("style")}`,
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
      ].join("; "),
    );
  });

  it("is one file without outside resources, handlers or styles in attributes", () => {
    assert.equal(body.match(/<script|<style/g)?.length, 2);
    assert.doesNotMatch(body, /\s(src|srcset|action|style|on[a-z]+)="/i);
    assert.deepEqual(body.match(/https?:[^"' ]*/g), ["http://www.w3.org/2000/svg"]);
    assert.doesNotMatch(body, /@import|url\(/);
    assert.ok(Buffer.byteLength(body) < 60_000, `${Buffer.byteLength(body)} bytes`);
  });

  it("never makes HTML of text", () => {
    const folder = join(ROOT, "cli/web/page");
    const sources = readdirSync(folder).filter((name) => name.endsWith(".ts"));
    assert.ok(sources.length > 10);
    for (const name of sources) {
      const text = readFileSync(join(folder, name), "utf8");
      const parser =
        /innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|eval\(|Function\(/;
      assert.doesNotMatch(text, parser, name);
    }
  });
});
