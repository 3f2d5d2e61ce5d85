// Postern with graphql-request.
import { GraphQLClient } from "graphql-request";
import { createFetch } from "./fetch.js";

/** @import { Session, User } from "./session.js" */

/** @param {Session} session */
export function createClient(session) {
  // `all`: a field that is refused leaves its neighbours alone.
  return new GraphQLClient(session.url, { fetch: createFetch(session), errorPolicy: "all" });
}

/**
 * Who is signed in, as the server sees it; null if nobody is.
 * @param {GraphQLClient} client
 * @returns {Promise<User | null>}
 */
export async function me(client) {
  return (await client.request("{ me { id username } }")).me;
}
