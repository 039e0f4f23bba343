/**
 * Stands between an engine and the plugin's socket and breaks chosen calls off: before the plugin
 * hears of them, or after it did what they ask and before the engine hears its answer, as when the
 * daemon dies in between. What the engine then repeats comes without its body.
 */

import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";

export type Cut = "before" | "after";

export class PluginProxy {
  /** Methods called since the last `arm`, those broken off included. BOUNDED: a test's calls. */
  calls: string[] = [];
  readonly #path: string;
  readonly #plugin: string;
  readonly #server = createServer((from, to) => {
    this.#serve(from, to).catch(() => to.destroy());
  });
  #armed: { readonly method: string; readonly cut: Cut } | undefined;

  private constructor(path: string, plugin: string) {
    this.#path = path;
    this.#plugin = plugin;
    this.#server.keepAliveTimeout = 0;
  }

  /** Serves `path`, and hands calls on to the socket `plugin`. */
  static async listen(path: string, plugin: string): Promise<PluginProxy> {
    const proxy = new PluginProxy(path, plugin);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(path, resolve);
    });
    return proxy;
  }

  /** Breaks the next call of a method off, once. */
  arm(method: string, cut: Cut): void {
    this.calls = [];
    this.#armed = { method, cut };
  }

  /** Whether the armed call came. */
  get isSpent(): boolean {
    return this.#armed === undefined;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#path, { force: true });
  }

  async #serve(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const method = (from.url ?? "").slice(1);
    this.calls.push(method);
    const cut = this.#armed?.method === method ? this.#armed.cut : undefined;
    if (cut !== undefined) this.#armed = undefined;
    const body = await bytesOf(from);
    if (cut === "before") {
      to.destroy();
      return;
    }
    const reply = await this.#forward(method, body);
    if (cut === "after") {
      to.destroy();
      return;
    }
    to.writeHead(reply.status, {
      "content-type": reply.type,
      "content-length": reply.body.length,
    });
    to.end(reply.body);
  }

  async #forward(
    method: string,
    body: Buffer,
  ): Promise<{ readonly status: number; readonly type: string; readonly body: Buffer }> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { host: "", "content-length": body.length };
      const options = { socketPath: this.#plugin, path: `/${method}`, method: "POST", headers };
      const call = request({ ...options, agent: false }, resolve);
      call.once("error", reject);
      call.end(body);
    });
    const type = response.headers["content-type"] ?? "";
    return { status: response.statusCode ?? 0, type, body: await bytesOf(response) };
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
