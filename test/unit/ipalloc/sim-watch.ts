/** Work that a schedule set off and what the checkers said to it: nothing found is lost. */
import type { SimChecker } from "./sim-checker.ts";
import type { SimHost, SimMesh } from "./sim-mesh.ts";

export class SimWatch {
  readonly #mesh: SimMesh;
  readonly #checker: SimChecker;
  #failure: unknown;
  /** The newest line of the log that was looked at. */
  #read: SimMesh["log"]["lines"][number] | undefined;

  constructor(mesh: SimMesh, checker: SimChecker) {
    this.#mesh = mesh;
    this.#checker = checker;
  }

  /** Refusals are fine; a result counts only while its daemon lives; what checkers find is kept. */
  follow<T>(host: SimHost, work: Promise<T>, then: (value: T) => void = () => undefined): void {
    const { process } = host;
    work.then(
      (value) => {
        if (host.process !== process) return;
        try {
          then(value);
        } catch (error) {
          this.#failure ??= error;
        }
      },
      (error: unknown) => {
        if ((error as { name?: string }).name !== "TsweaveError") this.#failure ??= error;
      },
    );
  }

  /** Throws what was found, by the work, by the checker, or by the product's own assertions. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#checker.use();
    if (this.#checker.failure !== undefined) throw this.#checker.failure;
    const { lines } = this.#mesh.log;
    const fresh = this.#read === undefined ? lines : lines.slice(lines.lastIndexOf(this.#read) + 1);
    this.#read = lines.at(-1);
    const broken = fresh.find(({ fields }) => JSON.stringify(fields).includes("ownership:"));
    if (broken !== undefined) throw new Error(JSON.stringify(broken));
  }
}
