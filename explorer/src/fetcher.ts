import type { Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, getOperationAST, OperationTypeNode, parse } from "graphql";

import { accounts } from "./accounts";
import {
  bearer,
  hasAuthorization,
  type Headers,
  messageOf,
  type Operation,
  post,
  type Result,
} from "./requests";
import type { Session } from "./session";
import { connect, socketError } from "./sockets";

/** Sends operations as the selected account, unless the Headers tab has an Authorization. */
export const fetcher: Fetcher = (request, options) => {
  const headers: Headers = options?.headers ?? {};
  const type = typeOf(request, options?.documentAST);
  if (type === OperationTypeNode.SUBSCRIPTION) return subscribe(request, headers) as never;
  return run(request, headers, type).catch(failure) as never;
};

async function run(
  operation: Operation,
  headers: Headers,
  type: OperationTypeNode | undefined,
): Promise<Result> {
  const session = selected(headers);
  const token = await tokenOf(session);
  const result = await send(operation, { ...bearer(token), ...headers });
  if (!session || !token || !mayRepeat(result, type)) return result;
  await session.refresh(token).catch(() => undefined);
  if (!session.token || session.token === token) return result;
  return send(operation, { ...bearer(session.token), ...headers });
}

function selected(headers: Headers): Session | undefined {
  return hasAuthorization(headers) ? undefined : accounts.active;
}

// Without a token, the operation would be sent with the cookies of another session.
async function tokenOf(session: Session | undefined): Promise<string | undefined> {
  const token = await session?.freshToken();
  if (!session || token) return token;
  const { username } = session.user;
  throw new Error(`Not sent: the session of ${username} has ended. Sign in again.`);
}

// With cookies, unlike the requests of the panel: the operation may use `delivery: COOKIE`.
function send(operation: Operation, headers: Headers): Promise<Result> {
  return post(operation, headers, { credentials: "same-origin" });
}

async function* subscribe(operation: Operation, headers: Headers): AsyncGenerator<unknown> {
  const session = selected(headers);
  const socket = connect(session, headers);
  try {
    await tokenOf(session);
    yield* socket.iterate(operation as never);
  } catch (error) {
    yield failure(socketError(error));
  } finally {
    void socket.dispose();
  }
}

// A GraphQL error, because GraphiQL shows the stack trace of a JavaScript error.
function failure(error: unknown): Result {
  return { errors: [{ message: messageOf(error) }] };
}

/** Returns whether the token was refused, and in a mutation, whether no field was executed. */
function mayRepeat({ data, errors }: Result, type: OperationTypeNode | undefined): boolean {
  const refusals = (errors ?? []).filter(({ extensions }) => extensions?.code === "UNAUTHENTICATED");
  if (!refusals.length) return false;
  if (type === OperationTypeNode.QUERY) return true;
  // A refusal below a root field means that the root field was executed. Without data it is unknown
  // which root fields were.
  const whole = refusals.filter(({ path }) => path?.length === 1);
  const refused = new Set(whole.map(({ path }) => path?.[0]));
  return !!data && Object.keys(data).every((name) => refused.has(name));
}

function typeOf(
  { query, operationName }: Operation,
  document: DocumentNode | undefined,
): OperationTypeNode | undefined {
  try {
    return getOperationAST(document ?? parse(query), operationName)?.operation;
  } catch {
    // Not valid GraphQL: the server reports the error.
    return undefined;
  }
}
