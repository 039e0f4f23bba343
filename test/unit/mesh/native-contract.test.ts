/** The contract on the native engine. */
import { nativeUnderTest } from "../../contract/engines.ts";
import { membershipContract } from "../../contract/membership.ts";
import { pathsContract } from "../../contract/membership-paths.ts";

membershipContract(nativeUnderTest());
pathsContract(nativeUnderTest());
