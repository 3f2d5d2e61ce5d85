// Finds a key, waits for a line on the standard input, and prints whether the key expires.

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { KeySet, KeysUnavailable } from "../../examples/services/access_tokens.mjs";

const [, , url, kid] = process.argv;
const keys = new KeySet(url, { fresh: 0, known: 2_000, coolDown: 0 });
const find = () => keys.find({ alg: "ES256", kid });

await find();
console.log("found");
await once(process.stdin, "data");
await find();
await sleep(2_000);
const error = await find().catch((thrown) => thrown);
console.log(error instanceof KeysUnavailable ? "unavailable" : error);
process.exit(0);
