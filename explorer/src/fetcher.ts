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

/** Sends the operations of the editors as the chosen account. A header typed by hand wins. */
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
  const session = chosen(headers);
  const token = await tokenOf(session);
  const result = await send(operation, { ...bearer(token), ...headers });
  if (!session || !token || !mayRepeat(result, type)) return result;
  await session.refresh(token).catch(() => undefined);
  if (!session.token || session.token === token) return result;
  return send(operation, { ...bearer(session.token), ...headers });
}

function chosen(headers: Headers): Session | undefined {
  return hasAuthorization(headers) ? undefined : accounts.active;
}

// Without its token an operation would go out as whoever the cookies are of.
async function tokenOf(session: Session | undefined): Promise<string | undefined> {
  const token = await session?.freshToken();
  if (!session || token) return token;
  const { username } = session.user;
  throw new Error(`Not sent: the session of ${username} is over. Sign in again.`);
}

// With cookies, unlike what the panel sends: whoever asks for `delivery: COOKIE` shall get one.
function send(operation: Operation, headers: Headers): Promise<Result> {
  return post(operation, headers, { credentials: "same-origin" });
}

async function* subscribe(operation: Operation, headers: Headers): AsyncGenerator<unknown> {
  const session = chosen(headers);
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

// In words: GraphiQL would show where in this file an error was thrown.
function failure(error: unknown): Result {
  return { errors: [{ message: messageOf(error) }] };
}

/** Whether the token was refused; and of a mutation, whether nothing has been done yet. */
function mayRepeat({ data, errors }: Result, type: OperationTypeNode | undefined): boolean {
  const refusals = (errors ?? []).filter(({ extensions }) => extensions?.code === "UNAUTHENTICATED");
  if (!refusals.length) return false;
  if (type === OperationTypeNode.QUERY) return true;
  // Below a field of a mutation, what was refused is a part of the reply: the field was done.
  // Without data nobody can tell which fields were.
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
    // It is no GraphQL: the server says what is wrong with it.
    return undefined;
  }
}
