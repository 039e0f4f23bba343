/** The contract on the swim engine. */
import { swimUnderTest } from "../../contract/engines.ts";
import { membershipContract } from "../../contract/membership.ts";
import { pathsContract } from "../../contract/membership-paths.ts";

membershipContract(swimUnderTest());
pathsContract(swimUnderTest());
