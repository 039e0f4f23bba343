/** The web listener as launch asked for it. */
import { asTsweaveError } from "../../mesh/index.ts";
import { formatHostPort } from "../peer-address.ts";
import { processStats } from "../web/process-stats.ts";
import { serveWeb } from "../web/web-server.ts";
import type { Base } from "./base.ts";
import type { ControlFacts } from "./control-facts.ts";

/**
 * Serves the map and metrics, unless told not to. The default port in use by another is noted and
 * lived with: two daemons of one host must not quarrel about it. @throws TsweaveError PORT_IN_USE
 * where it was asked for by name.
 */
export async function openWeb(
  { config, clock, log, stops }: Base,
  facts: ControlFacts,
): Promise<void> {
  if (config.http === undefined) return;
  const { at, isWished } = config.http;
  const part = log.child({ part: "web" });
  try {
    const web = await serveWeb({ facts, stats: processStats(), clock, log: part }, at);
    stops.add("web", () => web.close());
    facts.webUrl = `http://${formatHostPort(web.address)}/`;
  } catch (error) {
    if (isWished) throw error;
    part.warn({ error: asTsweaveError(error).line }, "map and metrics are not served");
  }
}
