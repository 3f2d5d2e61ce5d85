// Hears at once when the session is ended in another tab, on another device or by an operator.
import { createClient } from "graphql-ws";

import { documentOf } from "./api.js";

/** @import { Client } from "graphql-ws" */
/** @import { Session } from "./session.js" */
/**
 * @typedef {{ id: string, current: boolean, device: string | null, endReason: string | null }} Told
 */
/** @typedef {{ kind: "SIGNED_IN" | "REFRESHED" | "REVOKED", at: string, session: Told }} Event */

export const EVENTS = `subscription {
  sessionEvents { kind at session { id current device endReason } }
}`;
const NO_USE = 4401;
const NEEDS_ANOTHER_TOKEN = 4403;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Listens whenever somebody is signed in, until the function that it returns is called. `onEvent`
 * is told what happens to the person's other sessions too, e.g. a sign-in on another device.
 * @param {Session} session @param {(event: Event) => void} [onEvent]
 * @param {unknown} [webSocketImpl] needed by Node before 22: that of the package `ws`
 */
export function listen(session, onEvent = () => {}, webSocketImpl) {
  let stop = () => {};
  const follow = () => {
    stop();
    if (!session.user) return void (stop = () => {});
    stop = subscribe(createSocket(session, webSocketImpl), session, onEvent);
  };
  const forget = session.onChange(({ kind }) => void (kind !== "refreshed" && follow()));
  follow();
  return () => {
    forget();
    stop();
  };
}

/**
 * @param {Client} socket @param {Session} session @param {(event: Event) => void} onEvent
 */
function subscribe(socket, session, onEvent) {
  let isOver = false;
  const unsubscribe = socket.subscribe(
    // Without a text graphql-ws sends nothing.
    { query: "", ...documentOf(session, EVENTS) },
    {
      next({ data }) {
        if (isOver) return;
        const event = /** @type {Event} */ (data?.sessionEvents);
        onEvent(event);
        const { current, endReason } = event.session;
        if (event.kind === "REVOKED" && current) session.end(endReason ?? "REVOKED");
      },
      error(error) {
        const { code, reason } = /** @type {CloseEvent} */ (error);
        // What is told too late is of the one who was signed in before.
        if (code === NO_USE && !isOver) session.end(reason);
      },
      complete() {},
    },
  );
  return () => {
    isOver = true;
    unsubscribe();
  };
}

/**
 * A socket that always has the session's token; for other subscriptions as well. It ends when the
 * person signs out: make another for the next.
 * @param {Session} session @param {unknown} [webSocketImpl]
 */
export function createSocket(session, webSocketImpl) {
  /** @type {string | null} */
  let sent = null;
  /** @type {WebSocket | null} */
  let open = null;
  let isRefused = false;

  // A socket ends with its token, unless it is given the next one in time.
  const forget = session.onChange(({ kind }) => {
    if (kind === "refreshed") open?.send(JSON.stringify({ type: "ping", payload: params() }));
    if (kind !== "signedOut") return;
    forget();
    // Rejects if the connection is lost while it is being made.
    Promise.resolve(client.dispose()).catch(() => {});
  });
  const params = () => {
    sent = session.token;
    return sent === null ? {} : { Authorization: `Bearer ${sent}` };
  };
  const client = createClient({
    url: session.url.replace(/^http/, "ws"),
    webSocketImpl,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: (attempt) => pause(Math.min(2 ** attempt * 250, LONGEST_PAUSE_MS)),
    async connectionParams() {
      // While the server cannot renew it, the old token is sent, and the socket comes back later.
      await (isRefused ? session.refresh(sent) : session.freshToken()).catch(() => {});
      return params();
    },
    on: {
      connected: (socket) => void (open = /** @type {WebSocket} */ (socket)),
      closed(event) {
        open = null;
        isRefused = /** @type {CloseEvent} */ (event).code === NEEDS_ANOTHER_TOKEN;
      },
    },
  });
  return client;
}

/** Waits so long, and up to half as long again: not all come back in the same moment. */
function pause(/** @type {number} */ ms) {
  return new Promise((/** @type {(_: void) => void} */ resolve) =>
    setTimeout(resolve, ms * (1 + Math.random() / 2)),
  );
}
