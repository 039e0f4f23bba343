/**
 * A daemon without a mesh, started as a process: `fixture-daemon.ts BEHAVIOUR RUN_DIR`. Behaves on
 * the readiness pipe as the word says, and `serve` also serves the control API until it is stopped.
 */
import { writeFileSync } from "node:fs";
import { startControl } from "../../../cli/control/server.ts";
import { takeReadyPipe } from "../../../cli/ready-pipe.ts";
import { QuietLog } from "../../lib/quiet-log.ts";
import { FakeBackend, HOST1 } from "./fixture-facts.ts";

const [, , behaviour = "", runDir = ""] = process.argv;
const pipe = takeReadyPipe(process.env);
const summary = {
  version: "0.1.0",
  peer: { id: HOST1, name: "host1" },
  advertise: "192.168.48.11:6783",
  network: { name: "tsweave", subnet: "10.32.0.0/12", onEngine: true },
  peersNamed: 0,
  peersReached: 0,
  peersAlive: 0,
  docker: { enabled: true, socket: "/var/run/docker.sock", version: "20.10.24", silence: null },
  problems: [],
};

const behaviours: Readonly<Record<string, () => Promise<void> | void>> = {
  serve: async () => {
    pipe?.send({ progress: "warming up" });
    const backend = new FakeBackend();
    const control = await startControl({ runDir, backend, log: new QuietLog() });
    const stop = async () => {
      await control.close();
      setTimeout(() => process.exit(0), 200);
    };
    backend.onStop = () => void stop();
    process.once("SIGTERM", () => void stop());
    pipe?.send({ ready: true, summary });
    pipe?.close();
  },
  refuse: () => {
    pipe?.send({
      error: { code: "PORT_IN_USE", message: "UDP port 6783 is in use", hint: "choose a --port" },
    });
    process.exit(1);
  },
  crash: () => {
    process.stderr.write("something\nError: the sky fell\n    at somewhere\n");
    process.exit(7);
  },
  hang: () => {
    // Deaf to kind words, so that only SIGKILL ends it.
    process.on("SIGTERM", () => undefined);
    writeFileSync(`${runDir}.pid`, String(process.pid));
    setInterval(() => undefined, 1000);
  },
};
await behaviours[behaviour]?.();
