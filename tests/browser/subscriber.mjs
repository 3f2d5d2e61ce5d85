// A frontend that subscribes to its session events with the graphql-ws client. It refreshes its
// tokens for each connection and prints each event as a JSON object per line.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, username, password] = process.argv.slice(2);
const report = (fields) => console.log(JSON.stringify(fields));

async function ask(query, variables) {
  const reply = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  return (await reply.json()).data;
}

const { login } = await ask(
  "mutation($input: LoginInput!) { login(input: $input) { tokens { accessToken refreshToken } } }",
  { input: { username, password } },
);
let { accessToken, refreshToken } = login.tokens;
let first = true;

async function freshToken() {
  if (!first) {
    const { refreshTokens } = await ask(
      "mutation($input: RefreshTokensInput!) { refreshTokens(input: $input) { tokens { accessToken refreshToken } } }",
      { input: { refreshToken } },
    );
    if (refreshTokens.tokens) ({ accessToken, refreshToken } = refreshTokens.tokens);
  }
  first = false;
  return accessToken;
}

const client = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  retryAttempts: 20,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
  connectionParams: async () => ({ Authorization: `Bearer ${await freshToken()}` }),
  on: {
    connected: () => report({ connected: true }),
    closed: (event) => report({ closed: event.code, reason: event.reason }),
  },
});

client.subscribe(
  { query: "subscription { sessionEvents { kind session { current } } }" },
  {
    next: ({ data }) => report({ event: data.sessionEvents.kind, current: data.sessionEvents.session.current }),
    error: (error) => { report({ error: error.code ?? String(error) }); process.exit(0); },
    complete: () => report({ complete: true }),
  },
);
setTimeout(() => process.exit(1), 60_000);
