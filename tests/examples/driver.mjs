// A frontend with one of the example clients. Each line of its input is an action. Prints results
// and changes of the session, one JSON object per line.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, name, url] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${folder}/${file}`));
const require = createRequire(pathToFileURL(`${folder}/`));
const report = (value) => console.log(JSON.stringify(value));

const { Session } = await load("session.js");
const { listen } = await load("session-events.js");
const { createClient, me } = await load(`${name}.js`);
const { parse } = require("graphql");

let refreshes = 0;
// The number of replies to delay until a refresh has ended.
let late = 0;
let ended = withResolvers();
// The request that is held back.
let held = null;

const realFetch = fetch;
globalThis.fetch = async (input, init) => {
  const isRefresh = String(init.body).includes("refreshTokens");
  const waits = !isRefresh && late > 0 && late--;
  if (isRefresh) refreshes++;
  if (held && String(init.body).includes(held.text)) await held.promise;
  const reply = await realFetch(input, init);
  if (waits) await ended.promise;
  // After the requests that wait for the refresh.
  if (isRefresh) setTimeout(ended.resolve, 100);
  return reply;
};

const session = new Session(url);
let client = createClient(session);
session.onChange(({ kind, reason }) => {
  if (kind === "signedIn") client = createClient(session);
  report({ change: kind, reason });
});
let asked = 0;
const document = () => `query Q${asked++} { me { username } }`;

// Each client's own API, without the deduplication of equal requests.
const ASK = {
  fetch: (text) => client(text),
  "graphql-request": async (text) => ({ data: await client.request(text) }),
  apollo: (text) => client.query({ query: parse(text), fetchPolicy: "no-cache" }),
  urql: (text) => client.query(text, {}),
  relay: (text) => client.getNetwork().execute({ text }, {}, {}).toPromise(),
};

const MUTATE = {
  ...ASK,
  apollo: (text) => client.mutate({ mutation: parse(text) }),
  urql: async (text) => {
    const { data, error } = await client.mutation(text, {});
    if (error?.networkError) throw error.networkError;
    return { data };
  },
};

const ACTIONS = {
  signIn: async ({ username, password }) => {
    refreshes = 0;
    return { errors: await session.signIn(username, password) };
  },
  me: async () => ({ me: (await me(client))?.username ?? null }),
  together: async ({ count, late: held = 0 }) => {
    late = held;
    ended = withResolvers();
    const replies = await Promise.all(Array.from({ length: count }, () => ASK[name](document())));
    return { answered: replies.map(({ data }) => data?.me?.username ?? null) };
  },
  rename: async ({ fullName, isHeld = false }) => {
    if (isHeld) held = { text: fullName, ...withResolvers() };
    const input = `input: { fullName: ${JSON.stringify(fullName)} }`;
    const text = `mutation R { updateProfile(${input}) { user { username fullName } } }`;
    const { data } = await MUTATE[name](text);
    return { renamed: data?.updateProfile?.user ?? null };
  },
  letGo: () => (held.resolve(), {}),
  fullName: async () => ({ is: (await ASK[name]("query N { me { fullName } }")).data.me.fullName }),
  refresh: async () => (await session.refresh(session.token), {}),
  refreshes: () => ({ refreshes }),
  // Simulates a device that corrects a fast clock.
  setClockBack: ({ seconds }) => {
    const now = Date.now;
    Date.now = () => now() - seconds * 1000;
    return {};
  },
  listen: ({ stays = false }) => {
    const webSocket = watched(require("ws"));
    const onEvent = ({ kind, session: { current } }) => report({ event: kind, current });
    const stop = listen(session, onEvent, webSocket);
    if (!stays) session.onChange(({ kind }) => kind === "signedOut" && stop());
    return {};
  },
  // The session ends while the socket connects, then the connection is lost.
  loseConnection: () => {
    let made;
    const webSocket = class extends watched(require("ws")) {
      constructor(...given) {
        super(...given);
        made = this;
      }
    };
    listen(session, () => {}, webSocket);
    session.end("REVOKED");
    made.terminate();
    return {};
  },
  signOut: async () => (await session.signOut(), {}),
  // The `sid` claim of the access token.
  session: () => ({ id: JSON.parse(atob(session.token.split(".")[1])).sid }),
  user: () => ({ user: session.user?.username ?? null }),
};

function watched(WebSocket) {
  return class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.on("close", (code) => report({ closed: code }));
      this.on("message", (data) => {
        if (JSON.parse(data).type === "connection_ack") report({ open: true });
      });
    }
  };
}

function withResolvers() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

setTimeout(() => process.exit(1), 120_000).unref();
for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...given } = JSON.parse(line);
  // Not awaited, so other actions can run concurrently.
  Promise.resolve()
    .then(() => ACTIONS[action](given))
    .then((done) => report({ done: action, ...done }))
    .catch(({ constructor, message }) => report({ done: action, failed: constructor.name, message }));
}
process.exit(0);
