/** `npm run docs`: writes cli/REFERENCE.md from the program's own tables. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { referenceText } from "./reference-text.ts";
import { ROOT } from "./sources.ts";

writeFileSync(join(ROOT, "cli/REFERENCE.md"), await referenceText());
