/**
 * What a bench has made and must remove. Law: everything is undone in reverse order, at the end,
 * on failure and on Ctrl-C, and one undo that fails does not keep the others from running.
 */
type Undo = () => void | Promise<void>;

export class Cleanup {
  readonly #undos: { readonly what: string; readonly undo: Undo }[] = [];
  #running: Promise<void> | undefined;

  add(what: string, undo: Undo): void {
    this.#undos.push({ what, undo });
  }

  /** Undoes everything; later calls wait for the first. */
  run(): Promise<void> {
    this.#running ??= this.#undoAll();
    return this.#running;
  }

  /** Ctrl-C and SIGTERM undo everything and end the process with 130. */
  onSignals(): void {
    const stop = (): void => {
      process.stderr.write("bench: interrupted, removing everything\n");
      void this.run().then(() => process.exit(130));
    };
    process.once("SIGINT", stop).once("SIGTERM", stop);
  }

  async #undoAll(): Promise<void> {
    for (let next = this.#undos.pop(); next !== undefined; next = this.#undos.pop()) {
      try {
        await next.undo();
      } catch (error) {
        process.stderr.write(`bench: cannot remove ${next.what}: ${String(error)}\n`);
        process.exitCode = 1;
      }
    }
  }
}
