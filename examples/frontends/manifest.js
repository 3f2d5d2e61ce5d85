// Prints the manifest of these documents, for trusted documents:
// node manifest.js > persisted-documents.json
import { createHash } from "node:crypto";
import { ME } from "./fetch.js";
import { EVENTS } from "./session-events.js";
import { SESSION_DOCUMENTS } from "./session.js";

const manifest = Object.fromEntries(
  [...SESSION_DOCUMENTS, EVENTS, ME].map((text) => [
    createHash("sha256").update(text).digest("hex"),
    text,
  ]),
);
console.log(JSON.stringify(manifest, null, 2));
