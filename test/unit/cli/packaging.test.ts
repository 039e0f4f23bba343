/** The Debian package by extraction, the unit, and what a service manager hears. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { serviceUnit } from "../../../cli/packaging/service-unit.ts";
import { serviceNotify } from "../../../cli/service-notify.ts";
import { VERSION } from "../../../cli/version.ts";
import { ROOT } from "../../lib/sources.ts";
import { temporary } from "./fixture-run.ts";

const RECEIVER = `
use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un($ARGV[0]));
$| = 1; print "listening\\n";
while (defined recv($s, my $m, 4096, 0)) { print "$m\\n"; last if $m eq 'STOPPING=1'; }
`;

describe("the package", () => {
  it("holds the program, the unit, the manual and completions, and runs", async (context) => {
    const dir = await temporary(context);
    const script = "cli/packaging/build-deb.ts";
    const built = execFileSync(process.execPath, ["--import", "tsx", script, dir], {
      cwd: ROOT,
      encoding: "utf8",
    }).trim();
    assert.equal(built, join(dir, `tsweave_${VERSION}_all.deb`));
    const field = (name: string) =>
      execFileSync("dpkg-deb", ["-f", built, name], { encoding: "utf8" }).trim();
    assert.equal(field("Version"), VERSION);
    assert.match(field("Depends"), /nodejs \(>= 20\.19\), iproute2, nftables/);
    const list = execFileSync("dpkg-deb", ["-c", built], { encoding: "utf8" });
    for (const line of list.trim().split("\n")) assert.match(line, /^[-dl]\S+ root\/root /, line);
    const root = join(dir, "root");
    execFileSync("dpkg-deb", ["-x", built, root]);
    const run = (...words: string[]) =>
      execFileSync(join(root, "usr/bin/tsweave"), words, { encoding: "utf8" });
    assert.equal(run("version"), `tsweave ${VERSION}\n`);
    assert.match(run("help"), /Commands:/);
    const read = (path: string) => readFileSync(join(root, path), "utf8");
    assert.deepEqual(JSON.parse(read("etc/tsweave/config.json")), { peers: [] });
    assert.equal(read("lib/systemd/system/tsweave.service"), serviceUnit("/usr/bin/tsweave"));
    assert.match(read("usr/share/bash-completion/completions/tsweave"), /complete -F _tsweave/);
    const page = execFileSync("zcat", [join(root, "usr/share/man/man1/tsweave.1.gz")]);
    assert.match(page.toString(), /^\.TH TSWEAVE 1/);
    execFileSync("dpkg-deb", ["-e", built, join(dir, "scripts")]);
    for (const name of ["postinst", "prerm", "postrm"]) {
      execFileSync("sh", ["-n", join(dir, "scripts", name)]);
    }
  });
});

describe("a service manager", () => {
  it("hears of readiness, life and end, and its variables are taken away", async (context) => {
    const path = join(await temporary(context), "notify");
    const receiver = spawn("perl", ["-e", RECEIVER, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    context.after(() => receiver.kill("SIGKILL"));
    let heard = "";
    const until = async (what: string) => {
      for (let tries = 0; !heard.includes(what); tries++) {
        assert.ok(tries < 500, `no ${what} in ${heard}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    receiver.stdout.setEncoding("utf8").on("data", (text: string) => {
      heard += text;
    });
    await until("listening");
    const env = { PATH: process.env.PATH, NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000" };
    const service = serviceNotify(env);
    assert.deepEqual(Object.keys(env), ["PATH"]);
    service.ready("serves\nas host1");
    await until("WATCHDOG=1\nWATCHDOG=1\n");
    service.stopping();
    await until("STOPPING=1");
    assert.match(heard, /^listening\nSTATUS=serves as host1\nREADY=1\nWATCHDOG=1\n/);
  });

  it("that is none is told nothing", () => {
    const service = serviceNotify({});
    service.ready("serves");
    service.stopping();
  });
});

describe("the unit", () => {
  it("starts before Docker and needs the commands that exist", () => {
    const unit = serviceUnit("/usr/bin/tsweave");
    assert.match(unit, /^Before=docker\.service$/m);
    assert.doesNotMatch(unit, /(Requires|After)=docker/);
    assert.match(unit, /^Type=notify$/m);
    assert.match(unit, /^ExecStart=\/usr\/bin\/tsweave launch --foreground --config \S+$/m);
  });
});
