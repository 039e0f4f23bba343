/** The daemon's stream, held open: reconnects by itself and says when its picture is old. */
import { applied, type MapChanges } from "./changes.ts";
import type { MapModel } from "./model.ts";

/** The daemon speaks every 10 s at least. */
const STALE_MS = 25_000;
const RETRY_MS = 5000;

export interface Listener {
  readonly onModel: (model: MapModel) => void;
  readonly onLive: (isLive: boolean) => void;
}

export function listen({ onModel, onLive }: Listener): void {
  let model: MapModel | undefined;
  let stale = 0;
  const source = new EventSource("v1/stream");
  const heard = (next: MapModel | undefined): void => {
    clearTimeout(stale);
    stale = setTimeout(() => onLive(false), STALE_MS);
    onLive(true);
    if (next !== undefined) onModel(next);
  };
  source.addEventListener("snapshot", ({ data }: MessageEvent<string>) => {
    model = JSON.parse(data) as MapModel;
    heard(model);
  });
  source.addEventListener("changes", ({ data }: MessageEvent<string>) => {
    if (model === undefined) return;
    model = applied(model, JSON.parse(data) as MapChanges);
    heard(model);
  });
  source.addEventListener("beat", () => heard(undefined));
  source.addEventListener("error", () => {
    onLive(false);
    // The browser tries again after a broken connection, but not after a refusal.
    if (source.readyState !== EventSource.CLOSED) return;
    clearTimeout(stale);
    setTimeout(() => listen({ onModel, onLive }), RETRY_MS);
  });
}
