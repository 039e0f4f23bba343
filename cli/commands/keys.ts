/** `tsweave keys`: the passwords that this peer accepts, and the one it sends with. */
import { EXIT, keyFromPassword, TsweaveError } from "../../mesh/index.ts";
import type { Command, CommandInput } from "../command.ts";
import type { KeyChange } from "../control/api.ts";
import { keysTable } from "../render/tables.ts";
import { suggest } from "../suggestion.ts";
import { clientFor, RUN_DIR_OPTION } from "./client-options.ts";

const ACTIONS = ["list", "add", "use", "remove"] as const;
type Action = (typeof ACTIONS)[number];

export const keys: Command = {
  usage: "[list|add|use ID|remove ID] [options]",
  positionalsMax: 2,
  words: ACTIONS,
  options: [
    {
      name: "password-file",
      value: "FILE",
      summary: "add: the new password, also TSWEAVE_PASSWORD",
    },
    { name: "force", summary: "remove: also while other peers send with it" },
    { name: "json", summary: "print a JSON object" },
    RUN_DIR_OPTION,
  ],
  notes: [
    "To change the password of a running mesh without losing a message: 'keys add' the new one on",
    "every peer, then 'keys use' it on every peer, then 'keys remove' the old one on every peer,",
    "and put the new one into the file that launch reads. ID is what 'keys list' shows; a",
    "beginning of it is enough.",
  ],
  examples: [
    "tsweave keys list",
    "tsweave keys add --password-file /etc/tsweave/new-password",
    "tsweave keys use 1f0c22ab",
    "tsweave keys remove 9be41d77",
  ],
  run: async (input) => {
    const [word = "list", id, ...rest] = input.positionals;
    const action = actionOf(word);
    checkOptions(input, action, id !== undefined || rest.length > 0);
    const client = clientFor(input);
    const reply =
      action === "list"
        ? await client.keys()
        : await client.changeKeys(await change(input, action));
    const asJson = input.options.json === true;
    input.write(asJson ? `${JSON.stringify(reply)}\n` : keysTable(reply, input.style));
    return EXIT.ok;
  },
};

function actionOf(word: string): Action {
  const action = ACTIONS.find((candidate) => candidate === word);
  if (action !== undefined) return action;
  throw new TsweaveError("USAGE", `keys has no action '${word.slice(0, 64)}'`, {
    hint: suggest(word, ACTIONS, "see 'tsweave help keys'"),
  });
}

/** What does not belong to an action is refused, never ignored. */
function checkOptions({ options }: CommandInput, action: Action, hasId: boolean): void {
  const hint = "see 'tsweave help keys'";
  const needsId = action === "use" || action === "remove";
  if (needsId && !hasId) throw new TsweaveError("USAGE", `keys ${action} needs an ID`, { hint });
  if (!needsId && hasId) throw new TsweaveError("USAGE", `keys ${action} takes no ID`, { hint });
  if (options.force === true && action !== "remove") {
    throw new TsweaveError("USAGE", `keys ${action} takes no --force`, { hint });
  }
  if (options["password-file"] !== undefined && action !== "add") {
    throw new TsweaveError("USAGE", `keys ${action} takes no --password-file`, { hint });
  }
}

async function change(input: CommandInput, action: Exclude<Action, "list">): Promise<KeyChange> {
  const id = input.positionals[1] ?? "";
  if (action === "use") return { action, id };
  if (action === "remove") return { action, id, force: input.options.force === true };
  const { passwordOf } = await import("../password.ts");
  const file = input.options["password-file"];
  const setting = typeof file === "string" ? { text: file, source: "--password-file" } : undefined;
  const password = passwordOf(setting, input.env);
  if (password === undefined) {
    throw new TsweaveError("USAGE", "keys add needs a password", {
      hint: "name a file with --password-file, or set TSWEAVE_PASSWORD",
    });
  }
  const { secret } = await keyFromPassword(password.reveal());
  return { action, key: Buffer.from(secret).toString("hex") };
}
