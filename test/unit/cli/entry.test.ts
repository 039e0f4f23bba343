/** The executable and the compiled form of its bundle: used where it fits, never needed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Script } from "node:vm";
import { programFiles } from "../../../cli/packaging/program-files.ts";
import { VERSION } from "../../../cli/version.ts";
import { copyProgram, freshBundle } from "../../lib/bundle.ts";

describe("the executable", () => {
  const dir = mkdtempSync(join(tmpdir(), "tsweave-entry-"));
  let built = "";
  before(() => {
    built = freshBundle(join(dir, "built"));
  });
  after(() => rmSync(dir, { recursive: true }));

  const answer = (program: string) => execFileSync(program, ["version"], { encoding: "utf8" });
  const part = (program: string, ending: string) =>
    programFiles(program).find(({ name }) => name.endsWith(ending) && name.startsWith("main-"));

  it("comes with a compiled form that this engine takes", () => {
    const [source, compiled] = [part(built, ".js"), part(built, ".cache")];
    assert.ok(source !== undefined && compiled !== undefined);
    const cachedData = readFileSync(compiled.path);
    const script = new Script(readFileSync(source.path, "latin1"), { cachedData });
    assert.equal(script.cachedDataRejected, false);
  });

  it("runs by a link from elsewhere", () => {
    const link = join(dir, "tsweave");
    symlinkSync(built, link);
    assert.equal(answer(link), `tsweave ${VERSION}\n`);
  });

  it("runs where the compiled form is missing, cut short, empty or no such thing", () => {
    const damages: ((cache: string) => void)[] = [
      (cache) => rmSync(cache),
      (cache) => writeFileSync(cache, readFileSync(cache).subarray(0, 1000)),
      (cache) => writeFileSync(cache, ""),
      (cache) => writeFileSync(cache, "no such thing".repeat(1000)),
    ];
    for (const [at, damage] of damages.entries()) {
      const program = copyProgram(built, join(dir, `damaged${at}`));
      const cache = part(program, ".cache");
      assert.ok(cache !== undefined);
      damage(cache.path);
      assert.equal(answer(program), `tsweave ${VERSION}\n`, `damage ${at}`);
    }
  });

  it("names the bundle, and so its compiled form, by the digest of its text", () => {
    const source = part(built, ".js");
    assert.ok(source !== undefined);
    const digest = createHash("sha256").update(readFileSync(source.path)).digest("hex");
    assert.equal(source.name, `main-${digest.slice(0, 12)}.js`);
    assert.match(readFileSync(built, "utf8"), new RegExp(`"main-${digest.slice(0, 12)}"`));
  });
});
