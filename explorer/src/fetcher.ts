import type { Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, getOperationAST, OperationTypeNode, parse } from "graphql";

import { accounts } from "./accounts";
import {
  bearer,
  hasAuthorization,
  type Headers,
  type Operation,
  post,
  type Result,
} from "./requests";
import { connect, socketError } from "./sockets";

/** Sends the operations of the editors as the chosen account. A header typed by hand wins. */
export const fetcher: Fetcher = (request, options) => {
  const headers: Headers = options?.headers ?? {};
  const type = typeOf(request, options?.documentAST);
  if (type === OperationTypeNode.SUBSCRIPTION) return subscribe(request, headers) as never;
  return run(request, headers, type) as never;
};

async function run(
  operation: Operation,
  headers: Headers,
  type: OperationTypeNode | undefined,
): Promise<Result> {
  const session = hasAuthorization(headers) ? undefined : accounts.active;
  const token = await session?.freshToken();
  const result = await send(operation, { ...bearer(token), ...headers });
  if (!session || !token || !mayRepeat(result, type)) return result;
  await session.refresh(token).catch(() => undefined);
  if (!session.token || session.token === token) return result;
  return send(operation, { ...bearer(session.token), ...headers });
}

// With cookies, unlike what the panel sends: whoever asks for `delivery: COOKIE` shall get one.
function send(operation: Operation, headers: Headers): Promise<Result> {
  return post(operation, headers, "same-origin");
}

async function* subscribe(operation: Operation, headers: Headers): AsyncGenerator<unknown> {
  const socket = connect(hasAuthorization(headers) ? undefined : accounts.active, headers);
  try {
    yield* socket.iterate(operation as never);
  } catch (error) {
    throw socketError(error);
  } finally {
    void socket.dispose();
  }
}

/** Whether the token was refused; and of a mutation, whether nothing has been done yet. */
function mayRepeat(result: Result, type: OperationTypeNode | undefined): boolean {
  const refusals = (result.errors ?? []).filter(
    ({ extensions }) => extensions?.code === "UNAUTHENTICATED",
  );
  if (!refusals.length) return false;
  const refused = new Set(refusals.map(({ path }) => path?.[0]));
  const fields = Object.keys(result.data ?? {});
  return type === OperationTypeNode.QUERY || fields.every((name) => refused.has(name));
}

function typeOf(
  { query, operationName }: Operation,
  document: DocumentNode | undefined,
): OperationTypeNode | undefined {
  try {
    return getOperationAST(document ?? parse(query), operationName)?.operation;
  } catch {
    // It is no GraphQL: the server says what is wrong with it.
    return undefined;
  }
}
