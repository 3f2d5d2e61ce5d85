import { createClient, type Client } from "graphql-ws";

import { SOCKET } from "./page";
import { bearer, type Headers } from "./requests";
import type { Session } from "./session";

/** Opens a socket of a session, and keeps it open when the token is refreshed. */
export function connect(
  session: Session | undefined,
  headers: Headers = {},
  retryAttempts = 5,
): Client {
  let socket: WebSocket | undefined;
  // Postern accepts the next token of the session in a ping, so the socket stays open.
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
      // Closing fails if the connection was never opened or is closed already.
      await Promise.resolve(client.dispose()).catch(() => undefined);
    },
  };
}

/** Returns the close code of a socket; undefined for other errors. */
export function closeCode(error: unknown): number | undefined {
  return error instanceof CloseEvent ? error.code : undefined;
}

/** Returns the error to show for a closed socket. */
export function socketError(error: unknown): Error {
  if (!(error instanceof CloseEvent)) return error as Error;
  const why = error.reason || "no reason was given";
  return new Error(`The server ended the subscription: ${why} (${error.code}).`);
}
