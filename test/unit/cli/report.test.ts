/** The parts of a report: what tar reads of the archive, and what is blackened. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { redacted } from "../../../cli/report/redact.ts";
import { tarOf } from "../../../cli/report/tar.ts";
import { temporary } from "./fixture-run.ts";

const SECRET = 'correct "horse" battery';
const OTHER = "Zx9-another-word";

describe("an archive", () => {
  it("is read by tar, with sizes, modes and content", async (context) => {
    const dir = await temporary(context);
    const files = [0, 1, 511, 512, 513].map((size) => ({
      path: `r/${size}`,
      text: "ä".repeat(size),
    }));
    writeFileSync(join(dir, "a.tar"), tarOf(files, 1_700_000_000));
    execFileSync("tar", ["-xf", "a.tar"], { cwd: dir });
    for (const { path, text } of files) {
      assert.equal(execFileSync("cat", [path], { cwd: dir, encoding: "utf8" }), text);
      assert.equal(statSync(join(dir, path)).mode & 0o777, 0o600);
    }
    assert.throws(() => tarOf([{ path: "x".repeat(101), text: "" }], 0), RangeError);
  });
});

describe("what is blackened", () => {
  it("is the password wherever it is, and what is named like one", () => {
    const clean = (text: string) => redacted(text, [SECRET]);
    for (const text of [
      `a ${SECRET} b`,
      JSON.stringify({ msg: SECRET }),
      `password=${OTHER} x`,
      `{"passwd":"${OTHER}"}`,
      `TSWEAVE_PASSWORD='${OTHER}'`,
      `--password-file /root/${OTHER}`,
      `secret: ${OTHER}`,
    ]) {
      assert.ok(!clean(text).includes(OTHER) && !clean(text).includes("battery"), clean(text));
    }
    const kept = '{"msg":"a peer uses another password than this peer","id":"9be41d77"}';
    assert.equal(clean(kept), kept);
  });
});
