/** How many peers a daemon counts alive, asked over its control socket. */
import { request } from "node:http";
import { join } from "node:path";

/** A question to the daemon with this run directory; 0 as long as it does not answer. */
export function controlClient(runDir: string): () => Promise<number> {
  const socketPath = join(runDir, "control.sock");
  return async () =>
    await new Promise<number>((resolve) => {
      const call = request({ socketPath, path: "/v1/status", agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("end", () => resolve(aliveIn(Buffer.concat(chunks).toString())));
      });
      call.once("error", () => resolve(0));
      call.setTimeout(2000, () => call.destroy());
      call.end();
    });
}

function aliveIn(text: string): number {
  const { mesh } = JSON.parse(text) as { mesh?: { alive?: number } };
  return mesh?.alive ?? 0;
}
