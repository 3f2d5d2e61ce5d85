// Postern with Apollo Client 4.
import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  HttpLink,
  InMemoryCache,
  gql,
} from "@apollo/client/core";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { from, mergeMap, of } from "rxjs";

/** @import { Session, User } from "./session.js" */

/**
 * Create another client for another user: the cache contains data of the first one.
 * @param {Session} session
 */
export function createClient(session) {
  return new ApolloClient({
    link: ApolloLink.from([
      refreshLink(session),
      tokenLink(session),
      new HttpLink({ uri: session.url }),
    ]),
    cache: new InMemoryCache(),
  });
}

/**
 * Returns the signed-in user from the server, or null.
 * @param {ApolloClient} client
 * @returns {Promise<User | null>}
 */
export async function me(client) {
  const query = gql`query Me { me { id username } }`;
  // `all`: the other fields are returned if one is refused.
  const options = /** @type {const} */ ({ fetchPolicy: "network-only", errorPolicy: "all" });
  const { data, error } = await client.query({ query, ...options });
  if (!data) throw error;
  return /** @type {any} */ (data).me;
}

/** @param {Session} session */
function tokenLink(session) {
  return new SetContextLink(async ({ headers, isRepeated, token: next }) => {
    const token = isRepeated ? next : await session.freshToken();
    return { token, headers: { ...headers, ...(token && { Authorization: `Bearer ${token}` }) } };
  });
}

/** @param {Session} session */
function refreshLink(session) {
  return new ErrorLink(({ error, result, operation, forward }) => {
    const { token, isRepeated } = operation.getContext();
    if (!isUnauthenticated(error) || !result || isRepeated) return undefined;
    return from(session.refresh(token)).pipe(
      mergeMap((next) => {
        if (next === null || next === token) return of(result);
        operation.setContext({ isRepeated: true, token: next });
        return forward(operation);
      }),
    );
  });
}

/** @param {unknown} error */
function isUnauthenticated(error) {
  return (
    CombinedGraphQLErrors.is(error) &&
    error.errors.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED")
  );
}
