// Postern with graphql-request.
import { GraphQLClient } from "graphql-request";
import { createFetch } from "./fetch.js";

/** @import { Session, User } from "./session.js" */

/** @param {Session} session */
export function createClient(session) {
  // `all`: the other fields are returned if one is refused.
  return new GraphQLClient(session.url, { fetch: createFetch(session), errorPolicy: "all" });
}

/**
 * Returns the signed-in user from the server, or null.
 * @param {GraphQLClient} client
 * @returns {Promise<User | null>}
 */
export async function me(client) {
  return (await client.request("{ me { id username } }")).me;
}
