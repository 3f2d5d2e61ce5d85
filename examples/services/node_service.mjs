// A Node service that verifies the access tokens of its callers.
//
// npm ci && node node_service.mjs

import { createServer } from "node:http";

import { InvalidToken, KeySet, KeysUnavailable, Verifier } from "./access_tokens.mjs";
import { Introspection, IntrospectionUnavailable } from "./introspection.mjs";

const env = process.env;
const url = env.POSTERN_URL ?? "http://localhost:8000";
const keys = new KeySet(env.JWKS_URL ?? `${url}/.well-known/jwks.json`, {
  coolDown: Number(env.JWKS_COOL_DOWN ?? "5") * 1000,
});
const issuer = env.ISSUER ?? url;
const verifier = new Verifier(keys, { issuer, audience: env.AUDIENCE ?? issuer });
const introspection = new Introspection(url, {
  username: env.SERVICE_USERNAME ?? "reports",
  password: env.SERVICE_PASSWORD ?? "",
});

/** An error reply. */
class Refused extends Error {
  constructor(status, detail, headers) {
    super(detail);
    this.status = status;
    this.headers = headers;
  }
}

function unauthorized(description) {
  const challenge = `Bearer error="invalid_token", error_description="${description}"`;
  return new Refused(401, description, { "WWW-Authenticate": challenge });
}

/** Returns the token of the `Authorization` header (RFC 6750, 2.1). */
function readBearer(request) {
  const [scheme, ...rest] = (request.headers.authorization ?? "").split(" ");
  if (scheme.toLowerCase() === "bearer") return rest.join(" ").trim();
  throw new Refused(401, "Send an access token.", { "WWW-Authenticate": "Bearer" });
}

/** Returns the access token of the caller, if it is valid. */
function signedIn(request) {
  return verifier.verify(readBearer(request));
}

/** Returns a guard that requires a permission in the token. */
function hasScope(permission) {
  return async (request) => {
    const token = await signedIn(request);
    if (token.scope.has(permission)) return token;
    const challenge = `Bearer error="insufficient_scope", scope="${permission}"`;
    throw new Refused(403, `This needs ${permission}.`, { "WWW-Authenticate": challenge });
  };
}

/** Returns a guard that requires a role in the token. */
function hasRole(role) {
  return async (request) => {
    const token = await signedIn(request);
    if (token.roles.has(role)) return token;
    const challenge = 'Bearer error="insufficient_scope"';
    throw new Refused(403, `This needs the role ${role}.`, { "WWW-Authenticate": challenge });
  };
}

/** Asks Postern whether the session is still active: one call per request. */
async function stillSignedIn(request) {
  const token = await signedIn(request);
  if (await introspection.isActive(readBearer(request))) return token;
  throw unauthorized("The session has ended.");
}

// Access is denied by default: a route is a guard and a handler.
const ROUTES = {
  "GET /health": [async () => undefined, () => "ok"],
  "GET /whoami": [signedIn, (token) => ({ userId: token.userId })],
  "GET /reports": [hasScope("audit:read"), () => ["No incidents."]],
  "GET /settings": [hasRole("admin"), () => ({ theme: "dark" })],
  // This cannot be undone, so it asks Postern first.
  "DELETE /reports": [stillSignedIn, () => undefined],
};

async function answer(request) {
  const route = ROUTES[`${request.method} ${request.url}`];
  if (!route) throw new Refused(404, "Not found.");
  const [guard, handle] = route;
  return handle(await guard(request));
}

function refusalOf(error) {
  if (error instanceof Refused) return error;
  if (error instanceof InvalidToken) return unauthorized("The access token is not valid.");
  if (error instanceof KeysUnavailable || error instanceof IntrospectionUnavailable) {
    // Not 401: clients would sign their user out.
    return new Refused(503, "Postern is unavailable.", { "Retry-After": "5" });
  }
  console.error(error);
  return new Refused(500, "Internal error.");
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

const server = createServer(async (request, response) => {
  try {
    const body = await answer(request);
    send(response, body === undefined ? 204 : 200, body);
  } catch (error) {
    const { status, message, headers } = refusalOf(error);
    send(response, status, { detail: message }, headers);
  }
});

server.listen(Number(env.PORT ?? "8001"), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
