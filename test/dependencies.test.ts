/**
 * What is installed to build and test, and what of it goes into the bundle: pinned, checked by its
 * hash, without programs run at its installation, under licences that allow it. Needs no network.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { build } from "esbuild";
import { auditVerdict } from "./lib/audit-verdict.ts";
import { freshBundle } from "./lib/bundle.ts";
import { ROOT } from "./lib/sources.ts";

/** esbuild chooses its binary; npm ci needs no other program of a package. */
const WITH_INSTALL_SCRIPTS = ["esbuild"];
const LICENCES = new Set(["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD"]);
const EXACT = /^(npm:[\w@/.-]+@)?\d+\.\d+\.\d+$/;

interface Locked {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly devDependencies?: Readonly<Record<string, string>>;
}
type Packages = Readonly<Record<string, Locked>>;

function json<T>(path: string): T {
  return JSON.parse(readFileSync(join(ROOT, path), "utf8")) as T;
}

const { packages: locked } = json<{ packages: Packages }>("package-lock.json");
const { packages: installed } = json<{ packages: Packages }>("node_modules/.package-lock.json");

const isAllowed = (licence = "") => licence.split(" OR ").some((one) => LICENCES.has(one));

/** Folders of the packages that the program imports; the map's page is made before it runs. */
async function packagesInside(): Promise<Set<string>> {
  const { metafile } = await build({
    ...{ entryPoints: ["cli/main.ts"], absWorkingDir: ROOT, outdir: "nowhere" },
    ...{ bundle: true, write: false, metafile: true, platform: "node", format: "esm" },
    ...{ alias: { farmhash: "./mesh/io/no-farmhash.ts" }, logLevel: "error" },
    external: ["esbuild"],
  });
  const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
  return new Set(Object.keys(metafile.inputs).flatMap((path) => folder.exec(path) ?? []));
}

describe("dependencies", () => {
  it("are pinned to one version each, and the lock file says the same", () => {
    const own = json<Record<string, Record<string, unknown>>>("package.json");
    assert.equal(own.dependencies, undefined, "the bundle carries what it needs");
    const pinned = Object.entries(own.devDependencies ?? {});
    const overrides = Object.values(own.overrides ?? {}).flatMap((each) =>
      Object.entries(each ?? ""),
    );
    for (const [name, version] of [...pinned, ...overrides]) {
      assert.match(String(version), EXACT, name);
    }
    assert.deepEqual(locked[""]?.devDependencies, own.devDependencies);
    for (const [name, version] of pinned) {
      assert.equal(locked[`node_modules/${name}`]?.version, version, name);
    }
  });

  it("are installed as locked, each with its hash, from one registry", () => {
    assert.ok(Object.keys(installed).length > 50);
    /** Where packages came from; an installation from a cache does not say. */
    const registries = new Set<string>();
    for (const [path, { version, resolved, integrity }] of Object.entries(installed)) {
      const lock = locked[path];
      assert.equal(version, lock?.version, path);
      assert.match(lock?.integrity ?? "", /^sha512-[\w+/]{86}==$/, path);
      assert.equal(integrity, lock?.integrity, path);
      if (resolved !== undefined) registries.add(new URL(resolved).origin);
    }
    assert.ok(registries.size <= 1, [...registries].join());
  });

  it("run nothing when they are installed, but for those known", () => {
    const running = Object.entries(installed).filter(([, one]) => one.hasInstallScript === true);
    assert.deepEqual(
      running.map(([path]) => path.replace(/^node_modules\//, "")),
      WITH_INSTALL_SCRIPTS,
    );
  });

  it("have licences that allow their use", () => {
    const others = Object.entries(installed).filter(([, { license }]) => !isAllowed(license));
    assert.deepEqual(others, []);
  });

  it("in the bundle are named in its notice with version and licence", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tsweave-notice-"));
    try {
      freshBundle(directory);
      const notice = readFileSync(join(directory, "third-party.txt"), "utf8");
      const told = new Map(
        notice
          .split(/^== /m)
          .slice(1)
          .map((part) => [part.slice(0, part.indexOf("\n")), part] as const),
      );
      const inside = await packagesInside();
      assert.ok(inside.size > 20, `${inside.size} packages in the bundle`);
      for (const path of inside) {
        const {
          version,
          license,
          name = path.replace(/^.*node_modules\//, ""),
        } = locked[path] ?? {};
        assert.ok(isAllowed(license), path);
        const text = told.get(`${name} ${version}`);
        assert.match(text ?? "", /copyright|permission|licen[cs]e/i, `${name} ${version}`);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe("npm audit", () => {
  for (const [what, text, kind] of [
    ["nothing known", '{"vulnerabilities":{},"metadata":{"dependencies":{"total":9}}}', "clean"],
    ["low ones", '{"vulnerabilities":{"a":{"severity":"low"}}}', "clean"],
    ["a high one", '{"vulnerabilities":{"a":{"severity":"high"}}}', "found"],
    ["a registry without the service", '{"message":"405 Method Not Allowed"}', "skipped"],
    ["no network", '{"error":{"summary":"request failed"}}', "skipped"],
    ["no words at all", "", "skipped"],
  ] as const) {
    it(`is read: ${what}`, () => assert.equal(auditVerdict(text).kind, kind));
  }
});
