/**
 * Chromium without a window, driven by the DevTools protocol over its pipe: NUL-ended JSON on
 * descriptors 3 and 4, no port and no library.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const CALL_DEADLINE_MS = 30_000;
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** Path of an installed Chromium; undefined when there is none. */
export function installedBrowser(): string | undefined {
  for (const name of NAMES) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (result: Record<string, unknown>) => void;
  readonly reject: (error: Error) => void;
}

/** One browser with one page. */
export class Browser {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #input: Writable;
  readonly #waiting = new Map<number, Waiting>();
  #session: string | undefined;
  #next = 1;
  #rest = "";
  /** What the page and the browser complained about. */
  readonly complaints: string[] = [];

  private constructor(path: string) {
    this.#profile = mkdtempSync(join(tmpdir(), "tsweave-browser-"));
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--disable-component-update",
      "--no-first-run",
      "--hide-scrollbars",
      "--remote-debugging-pipe",
      `--user-data-dir=${this.#profile}`,
      "about:blank",
    ];
    const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"] as const;
    // A group of its own: its helpers end with it.
    const env = { ...process.env, TMPDIR: this.#profile };
    this.#child = spawn(path, flags, { stdio: [...stdio], detached: true, env });
    this.#input = this.#child.stdio[3] as Writable;
    const output = this.#child.stdio[4] as Readable;
    output.setEncoding("utf8").on("data", (text: string) => this.#onText(text));
    this.#child.once("exit", () => this.#fail(new Error("the browser ended")));
    this.#input.on("error", (error) => this.#fail(error));
  }

  static async open(path: string): Promise<Browser> {
    const browser = new Browser(path);
    try {
      const { targetInfos } = await browser.call("Target.getTargets");
      const [page] = (targetInfos as { type: string; targetId: string }[]).filter(
        ({ type }) => type === "page",
      );
      const wish = { targetId: page?.targetId, flatten: true };
      const { sessionId } = await browser.call("Target.attachToTarget", wish);
      browser.#session = sessionId as string;
      for (const domain of ["Page", "Runtime", "Log"]) await browser.call(`${domain}.enable`);
      return browser;
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  async call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${method}: no answer`));
      }, CALL_DEADLINE_MS);
      this.#waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer);
          resolve(result);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#input.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    });
  }

  /** The value of an expression in the page, promises awaited. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const wish = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", wish);
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: Value }).value;
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    const endMs = Date.now() + CALL_DEADLINE_MS;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (Date.now() > endMs) throw new Error(`never true: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async goTo(url: string): Promise<void> {
    await this.call("Page.navigate", { url });
    await this.until('document.readyState === "complete"');
  }

  async look(width: number, height: number, scheme: "light" | "dark"): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.call("Emulation.setDeviceMetricsOverride", size);
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.call("Emulation.setEmulatedMedia", { features });
  }

  async press(key: string, code = 0): Promise<void> {
    const event = { key, code: key, windowsVirtualKeyCode: code };
    const text = key === "Enter" ? { text: "\r" } : {};
    await this.call("Input.dispatchKeyEvent", { type: "keyDown", ...event, ...text });
    await this.call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async screenshot(path: string): Promise<void> {
    const { data } = await this.call("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data as string, "base64"));
  }

  async close(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once("exit", resolve));
      process.kill(-pid, "SIGKILL");
      await ended;
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  #onText(text: string): void {
    const parts = (this.#rest + text).split("\0");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#onMessage(JSON.parse(part) as Message);
  }

  #onMessage({ id, method, params, result, error }: Message): void {
    if (id === undefined) {
      const entry = params?.entry as { level: string } | undefined;
      if (method === "Runtime.exceptionThrown" || entry?.level === "error") {
        this.complaints.push(JSON.stringify(params));
      }
      if (method === "Page.javascriptDialogOpening") this.complaints.push("a dialog opened");
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error !== undefined) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result ?? {});
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
