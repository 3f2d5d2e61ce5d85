// Runs one client: node try.js apollo http://localhost:8000/graphql alice secret123
import WebSocket from "ws";
import { listen } from "./session-events.js";
import { Session } from "./session.js";

const CLIENTS = ["apollo", "fetch", "graphql-request", "relay", "urql"];
const [name, url = "http://localhost:8000/graphql", username = "alice", password = "secret123"] =
  process.argv.slice(2);

if (!CLIENTS.includes(name)) {
  console.log(`Usage: node try.js ${CLIENTS.join(" | ")} [url username password]`);
  process.exit(2);
}

const { createClient, me } = await import(`./${name}.js`);
const session = new Session(url);
session.onChange(({ kind, reason }) => tell(`* ${kind}${reason ? `: ${reason}` : ""}`));

await signIn("a wrong password");
if (!(await signIn(password))) process.exit(1);
const client = createClient(session);
console.log("me:", await me(client));

const stop = listen(session, (event) => tell(`- ${event.kind}: ${event.session.device}`), WebSocket);
console.log("Listening. Sign out on another device, or press Ctrl-C to sign out here.");
session.onChange(({ kind }) => void (kind === "signedOut" && stop()));
process.once("SIGINT", () => session.signOut());

function tell(/** @type {string} */ line) {
  console.log(line);
}

/** @param {string} typed */
async function signIn(typed) {
  const errors = await session.signIn(username, typed);
  for (const { message, retryAfter } of errors) {
    tell(`! ${message}${retryAfter ? ` Wait ${retryAfter} s.` : ""}`);
  }
  return errors.length === 0;
}
