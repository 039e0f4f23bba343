/** `npm run docs`: writes cli/REFERENCE.md from the program's tables, pictures from RESULTS.md. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ratioDrawings, writeDrawings } from "../bench/lib/results-file.ts";
import { referenceText } from "./reference-text.ts";
import { ROOT } from "./sources.ts";

writeFileSync(join(ROOT, "cli/REFERENCE.md"), await referenceText());
writeDrawings(ratioDrawings());
