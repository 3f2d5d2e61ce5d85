import { createClient, type Client } from "graphql-ws";

import { SOCKET } from "./page";
import { bearer, type Headers } from "./requests";
import type { Session } from "./session";

/** A socket of one session, which goes on when its token is refreshed; `headers` are its own. */
export function connect(
  session: Session | undefined,
  headers: Headers = {},
  retryAttempts = 5,
): Client {
  let socket: WebSocket | undefined;
  // Postern takes the next token of the same session in a ping: no event is missed meanwhile.
  const stop = session?.listen(() => {
    if (session.token && socket?.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({ type: "ping", payload: bearer(session.token) }));
    }
  });
  const client = createClient({
    url: SOCKET,
    retryAttempts,
    connectionParams: async () => ({ ...bearer(await session?.freshToken()), ...headers }),
    on: {
      connected: (opened) => (socket = opened as WebSocket),
      closed: () => (socket = undefined),
    },
  });
  return {
    ...client,
    dispose: async () => {
      stop?.();
      // A connection that never came up, or is down already, needs no closing.
      await Promise.resolve(client.dispose()).catch(() => undefined);
    },
  };
}

/** The code of a socket's end, where an error is one. */
export function closeCode(error: unknown): number | undefined {
  return error instanceof CloseEvent ? error.code : undefined;
}

/** What ended a subscription, in words. */
export function socketError(error: unknown): Error {
  if (!(error instanceof CloseEvent)) return error as Error;
  const why = error.reason || "no reason was given";
  return new Error(`The server ended the subscription: ${why} (${error.code}).`);
}
