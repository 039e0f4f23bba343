/**
 * The map in a real browser: that it shows, follows, obeys keys, says itself to a screen reader,
 * trusts no name, and stays quick. `SCREENSHOTS=DIR` keeps pictures, which people must look at.
 */
import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { serveWeb, type WebServer } from "../../../cli/web/web-server.ts";
import { processClock } from "../../../mesh/io/clock.ts";
import { Browser, installedBrowser } from "../../lib/browser.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { EVIL, MeshFacts, type MeshSize } from "./fixture-map.ts";

const path = installedBrowser();
const skip = path === undefined ? "no chromium is installed" : false;
const pictures = process.env.SCREENSHOTS;

const SMALL: MeshSize = { hosts: 3, containers: 18, networks: 3 };
const LARGE: MeshSize = { hosts: 50, containers: 1000, networks: 6 };
const KEY_CODES = { Tab: 9, Enter: 13, Escape: 27, ArrowRight: 39, ArrowDown: 40 } as const;

/** Measures what the page does in each frame. */
const STOPWATCH = `
  window.frameCosts = [];
  window.realFrame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (fire) => window.realFrame((at) => {
    const start = performance.now();
    fire(at);
    window.frameCosts.push(performance.now() - start);
  });`;

describe("the map in a browser", { skip }, () => {
  let browser: Browser;

  before(async () => {
    browser = await Browser.open(path ?? "");
    await browser.call("Page.addScriptToEvaluateOnNewDocument", { source: STOPWATCH });
  });
  after(() => browser?.close());

  async function open(t: TestContext, facts: MeshFacts): Promise<WebServer> {
    const stats = () => ({ rssBytes: 1, cpuSeconds: 1, stallSeconds: 0 });
    const ports = { facts, stats, clock: processClock(), log: new QuietLog() };
    const web = await serveWeb(ports, { host: "127.0.0.1", port: 0 });
    t.after(async () => {
      await browser.goTo("about:blank");
      await web.close();
    });
    browser.complaints.length = 0;
    await browser.goTo(`http://127.0.0.1:${web.address.port}/`);
    await browser.until('!document.body.classList.contains("stale")');
    await shownFrame();
    return web;
  }

  /** Until all that was asked for is on the screen. */
  async function shownFrame(): Promise<void> {
    await browser.evaluate("realFrame(() => 0) && new Promise((done) => setTimeout(done, 100))");
  }

  async function press(...keys: readonly (keyof typeof KEY_CODES)[]): Promise<void> {
    for (const key of keys) await browser.press(key, KEY_CODES[key]);
    await shownFrame();
  }

  const textOf = async (id: string): Promise<string> =>
    await browser.evaluate<string>(`document.getElementById("${id}").innerText`);
  const click = async (id: string): Promise<void> => {
    await browser.evaluate(`document.getElementById("${id}").click()`);
    await shownFrame();
  };

  async function picture(name: string): Promise<void> {
    if (pictures !== undefined) await browser.screenshot(`${pictures}/${name}.png`);
  }

  /** How many colours the canvas shows, and its first. */
  async function inks(): Promise<{ count: number; cards: string }> {
    return await browser.evaluate(`(() => {
      const canvas = document.querySelector("canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const counts = new Map();
      for (let at = 0; at < data.length; at += 4) {
        const ink = data.slice(at, at + 4).join(",");
        if (data[at + 3] === 255) counts.set(ink, (counts.get(ink) ?? 0) + 1);
      }
      const [[cards] = [""]] = [...counts].sort((a, b) => b[1] - a[1]);
      return { count: counts.size, cards };
    })()`);
  }

  it("shows three hosts in light and dark, follows changes, says when it is old", async (t) => {
    const facts = new MeshFacts(SMALL);
    await browser.look(1440, 900, "light");
    const web = await open(t, facts);
    assert.match(await textOf("details"), /3 hosts, 3 networks, 18 containers/);
    assert.equal(await textOf("health"), "health OK");
    await picture("small-light");
    const light = await inks();
    await browser.look(1440, 900, "dark");
    await shownFrame();
    await picture("small-dark");
    const dark = await inks();
    assert.ok(light.count > 10 && dark.count > 10);
    assert.deepEqual([light.cards, dark.cards], ["255,255,255,255", "29,36,46,255"]);
    facts.trouble();
    facts.endpointRows.splice(0, 1);
    await browser.until('document.getElementById("health").innerText === "1 problem"');
    assert.match(
      await textOf("details"),
      /17 containers[\s\S]*host2 does not answer[\s\S]*check host2/,
    );
    await picture("small-trouble");
    const { status } = facts;
    Object.assign(facts, { status: () => ({ ...status(), version: "9.9.9" }) });
    await browser.evaluate("window.oldPage = true");
    await browser.until("window.oldPage === undefined");
    await browser.until('document.getElementById("details").innerText.includes("9.9.9")');
    const own = browser.complaints.splice(0);
    assert.deepEqual(own, []);
    await web.close();
    await browser.until('document.body.classList.contains("stale")');
    assert.match(await textOf("live"), /no news/);
  });

  it("is used by keys alone: tabs, map, list, search", async (t) => {
    await browser.look(1440, 900, "dark");
    const facts = new MeshFacts(SMALL);
    await open(t, facts);
    const stops: string[] = [];
    for (let at = 0; at < 11; at += 1) {
      await press("Tab");
      stops.push(
        await browser.evaluate("document.activeElement.id || document.activeElement.innerText"),
      );
    }
    const networks = ["backend", "frontend", "tsweave", "How to read the map"];
    const head = ["health", "map-tab", "search", "map", "zoom-in", "zoom-out", "zoom-fit"];
    assert.deepEqual(stops, [...head, ...networks]);
    await browser.evaluate('document.getElementById("map").focus()');
    await press("ArrowRight", "ArrowRight");
    assert.equal(await textOf("said"), "Host, host3, alive");
    await press("Enter", "ArrowDown");
    assert.match(await textOf("said"), /^Container, [a-z]+-\d, alive$/);
    await picture("small-chosen");
    await press("Escape");
    assert.equal(await textOf("said"), "Host, host3, alive");
    await browser.evaluate('document.getElementById("search").focus()');
    await browser.call("Input.insertText", { text: "host2 db" });
    await press("Enter");
    assert.match(await textOf("found"), /^0 hosts, 0 networks, 1 container$/);
    assert.match(await textOf("said"), /^Container, db-1, alive$/);
    await browser.evaluate('document.getElementById("map-tab").focus()');
    await press("ArrowRight");
    assert.equal(await browser.evaluate("document.activeElement.id"), "list-tab");
    assert.match(await textOf("tables"), /Containers \(1, 17 not found\)/);
  });

  it("keeps the focus in the list while rows come and go around it", async (t) => {
    await browser.look(1440, 900, "light");
    const facts = new MeshFacts(SMALL);
    await open(t, facts);
    await click("list-tab");
    const rows = '[...document.querySelectorAll("#tables button")]';
    await browser.evaluate(`${rows}.find((row) => row.innerText === "mail-1").focus()`);
    const isGone = (name: string) =>
      `!document.getElementById("tables").innerText.includes("${name}")`;
    facts.endpointRows = facts.endpointRows.filter(({ name }) => name !== "api-1");
    await browser.until(isGone("api-1"));
    assert.equal(await browser.evaluate("document.activeElement.innerText"), "mail-1");
    await press("Enter");
    assert.match(await textOf("details"), /^Container\s+mail-1/);
    await picture("small-list");
  });

  it("says itself to a screen reader", async (t) => {
    await open(t, new MeshFacts(SMALL));
    await click("list-tab");
    const { nodes } = await browser.call("Accessibility.getFullAXTree");
    const all = (nodes as AxNode[]).filter(({ ignored }) => !ignored);
    const names = (role: string): string[] =>
      all.filter((node) => node.role?.value === role).map((node) => node.name?.value ?? "");
    assert.deepEqual(names("tab"), ["Map", "List"]);
    assert.deepEqual(names("tabpanel"), ["List"]);
    assert.deepEqual(names("searchbox"), ["Search"]);
    assert.deepEqual(names("table"), ["Hosts (3)", "Networks (3)", "Containers (18)"]);
    assert.equal(names("rowheader").length, 24);
    assert.equal(names("columnheader").length, 20);
    assert.ok(names("button").every((name) => name !== ""));
    assert.deepEqual(names("complementary"), ["Details"]);
    await click("map-tab");
    const map = await browser.call("Accessibility.getFullAXTree");
    const again = (map.nodes as AxNode[]).filter(({ role }) => role?.value === "application");
    assert.equal(again[0]?.name?.value, "Map of hosts and containers");
  });

  it("trusts no name", async (t) => {
    const facts = new MeshFacts(SMALL);
    facts.problems = [{ code: "X", text: EVIL, next: EVIL }];
    for (const row of facts.peerRows) row.name = `${EVIL}${row.name}`;
    facts.endpointRows.forEach((row, at) => {
      const host = Number(row.peer.slice(4)) - 1;
      const peer = facts.peerRows[host]?.name ?? "";
      const network = `${EVIL}${row.network}`;
      facts.endpointRows[at] = {
        ...row,
        name: `${EVIL}${row.name}`,
        aliases: [EVIL],
        network,
        peer,
      };
    });
    await browser.look(1440, 900, "light");
    await open(t, facts);
    const clean = async () => {
      const found = "#top img, main img, aside img, main b:not(.tone), aside b, main script";
      assert.equal(await browser.evaluate(`document.querySelectorAll("${found}").length`), 0);
    };
    await clean();
    await picture("hostile");
    await browser.evaluate('document.getElementById("map").focus()');
    await press("ArrowRight", "Enter");
    await clean();
    assert.match(await textOf("details"), /<img src=x onerror=alert\(1\)>\ufffd\ufffd/);
    await click("list-tab");
    await clean();
    await picture("hostile-list");
    assert.deepEqual(browser.complaints, []);
    // The policy holds even if some code did it: no text becomes HTML, no script is added.
    const refused = await browser.evaluate<string>(
      'try { document.body.innerHTML = "<b>x</b>"; "taken" } catch (error) { error.name }',
    );
    assert.equal(refused, "TypeError");
  });

  it("is quick with 50 hosts and 1000 containers", async (t) => {
    const facts = new MeshFacts(LARGE);
    facts.trouble();
    await browser.look(1440, 900, "light");
    await open(t, facts);
    assert.match(await textOf("details"), /50 hosts, 6 networks, 1000 containers/);
    await picture("large-light");
    const still = await framesDuring(browser, "");
    assert.ok(still.frames <= 5, `${still.frames} frames were drawn with nothing to show`);
    const zoom = await framesDuring(
      browser,
      `map.dispatchEvent(new WheelEvent("wheel", {
        deltaY: at % 40 < 20 ? -12 : 12, clientX: 500, clientY: 400, cancelable: true }));`,
    );
    const hover = await framesDuring(
      browser,
      `map.dispatchEvent(new PointerEvent("pointermove", {
        clientX: 60 + at * 9, clientY: 130 + (at % 7) * 97 }));`,
    );
    t.diagnostic(`zoom ${JSON.stringify(zoom)} hover ${JSON.stringify(hover)}`);
    for (const { medianMs } of [zoom, hover]) assert.ok(medianMs < 16, `${medianMs} ms a frame`);
    await browser.evaluate('document.getElementById("zoom-fit").click()');
    await browser.look(1440, 900, "dark");
    await browser.evaluate('document.querySelector("#networks button").click()');
    await shownFrame();
    await picture("large-network");
    await browser.evaluate('document.getElementById("map").focus()');
    await press("ArrowRight", "ArrowRight", "ArrowDown", "Enter");
    await picture("large-chosen");
    const start = Date.now();
    await click("list-tab");
    assert.equal(
      await browser.evaluate("document.querySelectorAll('#tables tbody tr').length"),
      1056,
    );
    t.diagnostic(`list of 1056 rows shown in ${Date.now() - start - 100} ms`);
    await browser.look(420, 900, "light");
    await click("map-tab");
    await picture("large-narrow");
    assert.deepEqual(browser.complaints, []);
  });
});

interface AxNode {
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
}

interface Frames {
  readonly frames: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

/** What the page's own work costs in each of 120 frames, while `act` happens in each. */
async function framesDuring(browser: Browser, act: string): Promise<Frames> {
  return await browser.evaluate(`(async () => {
    const map = document.getElementById("map");
    frameCosts.length = 0;
    for (let at = 0; at < 120; at += 1) {
      await new Promise(realFrame);
      ${act}
    }
    const costs = frameCosts.toSorted((a, b) => a - b);
    const part = (share) => Math.round(10 * (costs[Math.floor(costs.length * share)] ?? 0)) / 10;
    return { frames: costs.length, medianMs: part(0.5), p95Ms: part(0.95) };
  })()`);
}
