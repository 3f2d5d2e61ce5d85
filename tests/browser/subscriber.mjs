// A frontend that listens to its own sessions, with the real graphql-ws client. It refreshes its
// tokens whenever the socket asks for one, and prints what it sees, one JSON object per line.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, username, password] = process.argv.slice(2);
const tell = (what) => console.log(JSON.stringify(what));

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
    connected: () => tell({ connected: true }),
    closed: (event) => tell({ closed: event.code, reason: event.reason }),
  },
});

client.subscribe(
  { query: "subscription { sessionEvents { kind session { current } } }" },
  {
    next: ({ data }) => tell({ event: data.sessionEvents.kind, current: data.sessionEvents.session.current }),
    error: (error) => { tell({ gaveUp: error.code ?? String(error) }); process.exit(0); },
    complete: () => tell({ complete: true }),
  },
);
setTimeout(() => process.exit(1), 60_000);
