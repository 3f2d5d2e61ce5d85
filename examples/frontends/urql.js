// Postern with urql and its auth exchange.
import { Client, cacheExchange, fetchExchange, gql } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";

/** @import { CombinedError, Operation } from "@urql/core" */
/** @import { Session, User } from "./session.js" */

/**
 * Make another client when the person changes: what the cache holds is the first one's.
 * @param {Session} session
 */
export function createClient(session) {
  return new Client({
    url: session.url,
    preferGetMethod: false,
    exchanges: [cacheExchange, withSession(session), fetchExchange],
  });
}

/**
 * Who is signed in, as the server sees it; null if nobody is.
 * @param {Client} client
 * @returns {Promise<User | null>}
 */
export async function me(client) {
  const query = gql`query Me { me { id username } }`;
  const { data, error } = await client.query(query, {}, { requestPolicy: "network-only" });
  if (!data) throw error;
  return data.me;
}

/** @param {Session} session */
function withSession(session) {
  return authExchange(async ({ appendHeaders }) => {
    // What the next refreshAuth is for.
    /** @type {string | null} */
    let refused = null;
    return {
      addAuthToOperation(operation) {
        const { token } = session;
        const earlier = tokenOf(operation);
        // What somebody else asked goes with their own token, and is refused once more.
        if (token === null || (earlier !== null && !session.isOwn(earlier))) return operation;
        return appendHeaders(operation, { Authorization: bearer(token) });
      },
      willAuthError() {
        refused = null;
        return session.isStale;
      },
      didAuthError(error, operation) {
        if (!isUnauthenticated(error)) return false;
        refused = tokenOf(operation);
        return refused !== null;
      },
      // A refusal that comes late, of a token that has a successor, renews nothing.
      async refreshAuth() {
        await (refused === null ? session.freshToken() : session.refresh(refused));
      },
    };
  });
}

/** @param {CombinedError} error */
function isUnauthenticated(error) {
  return error.graphQLErrors.some(({ extensions }) => extensions.code === "UNAUTHENTICATED");
}

/** @param {Operation} operation */
function tokenOf({ context: { fetchOptions } }) {
  const options = typeof fetchOptions === "function" ? fetchOptions() : fetchOptions;
  return new Headers(options?.headers).get("Authorization")?.slice(bearer("").length) ?? null;
}

/** @param {string} token */
function bearer(token) {
  return `Bearer ${token}`;
}
