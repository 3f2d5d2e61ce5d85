// Postern with urql and its auth exchange.
import { Client, cacheExchange, fetchExchange, gql } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";

/** @import { CombinedError, Operation } from "@urql/core" */
/** @import { Session, User } from "./session.js" */

/**
 * Create another client for another user: the cache contains data of the first one.
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
 * Returns the signed-in user from the server, or null.
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
    // The token that the server refused; null if the token is about to expire.
    /** @type {string | null} */
    let refused = null;
    return {
      addAuthToOperation(operation) {
        const { token } = session;
        const earlier = tokenOf(operation);
        // An operation of another user keeps its token, and is refused again.
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
      // If the refused token was replaced already, this does not refresh.
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
