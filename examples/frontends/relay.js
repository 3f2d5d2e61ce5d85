// Postern with Relay.
import relay from "relay-runtime";
import { createClient as createAsk } from "./fetch.js";
import MeQuery from "./relay/__generated__/meQuery.graphql.js";

/** @import { Session, User } from "./session.js" */

/**
 * Create another environment for another user: the store contains data of the first one.
 * @param {Session} session
 */
export function createClient(session) {
  const ask = createAsk(session);
  return new relay.Environment({
    network: relay.Network.create(async ({ text }, variables) => {
      const { data = null, errors } = await ask(text ?? "", variables);
      return /** @type {any} */ ({ data, errors });
    }),
    store: new relay.Store(new relay.RecordSource()),
  });
}

/**
 * Returns the signed-in user from the server, or null.
 * @param {relay.Environment} environment
 * @returns {Promise<User | null>}
 */
export async function me(environment) {
  const options = { fetchPolicy: /** @type {const} */ ("network-only") };
  const data = await relay.fetchQuery(environment, MeQuery, {}, options).toPromise();
  return /** @type {any} */ (data).me;
}
