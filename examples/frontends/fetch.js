// Postern with `fetch`, without a library.
import { documentOf } from "./api.js";

/** @import { Session, User } from "./session.js" */

/**
 * Returns a `fetch` that sends the access token. If it is refused, refreshes and repeats once.
 * @param {Session} session
 * @returns {(url: RequestInfo | URL, init?: RequestInit) => Promise<Response>}
 */
export function createFetch(session) {
  return async (url, init) => {
    const token = await session.freshToken();
    const reply = await fetch(url, withToken(init, token));
    // Each reply with UNAUTHENTICATED has this header, also if other fields have values.
    if (!reply.headers.has("WWW-Authenticate")) return reply;
    const next = await session.refresh(token);
    return next === null || next === token ? reply : fetch(url, withToken(init, next));
  };
}

/**
 * Returns a function that runs an operation:
 * `const { data, errors } = await ask("{ me { username } }")`.
 * @param {Session} session
 */
export function createClient(session) {
  const fetchWithToken = createFetch(session);
  /**
   * @param {string} query @param {Record<string, unknown>} [variables]
   * @returns {Promise<{ data?: any, errors?: any[] }>}
   */
  return async function ask(query, variables) {
    const reply = await fetchWithToken(session.url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...documentOf(session, query), variables }),
    });
    return reply.json();
  };
}

export const ME = "{ me { id username } }";

/**
 * Returns the signed-in user from the server, or null.
 * @param {ReturnType<typeof createClient>} ask
 * @returns {Promise<User | null>}
 */
export async function me(ask) {
  const { data, errors } = await ask(ME);
  if (!data) throw new Error(errors?.[0].message);
  return data.me;
}

/** @param {RequestInit | undefined} init @param {string | null} token */
function withToken(init, token) {
  const headers = new Headers(init?.headers);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  return { ...init, headers };
}
