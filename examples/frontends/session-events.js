// Receives an event when the session ends in another tab, on another device or by an admin.
import { createClient } from "graphql-ws";

import { documentOf } from "./api.js";

/** @import { Client } from "graphql-ws" */
/** @import { Session } from "./session.js" */
/**
 * @typedef {{ id: string, current: boolean, device: string | null, endReason: string | null }}
 *   SessionInfo
 */
/**
 * @typedef {{ kind: "SIGNED_IN" | "REFRESHED" | "REVOKED", at: string, session: SessionInfo }}
 *   Event
 */

export const EVENTS = `subscription {
  sessionEvents { kind at session { id current device endReason } }
}`;
const SIGNED_OUT = 4401;
const NEEDS_ANOTHER_TOKEN = 4403;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Subscribes to the session events of the signed-in user. Returns a function that stops it.
 * `onEvent` is called for all sessions of the user, for example for a sign-in on another device.
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
  let isStopped = false;
  const unsubscribe = socket.subscribe(
    // graphql-ws requires `query`.
    { query: "", ...documentOf(session, EVENTS) },
    {
      next({ data }) {
        if (isStopped) return;
        const event = /** @type {Event} */ (data?.sessionEvents);
        onEvent(event);
        const { current, endReason } = event.session;
        if (event.kind === "REVOKED" && current) session.end(endReason ?? "REVOKED");
      },
      error(error) {
        const { code, reason } = /** @type {CloseEvent} */ (error);
        // A late event belongs to the previous user.
        if (code === SIGNED_OUT && !isStopped) session.end(reason);
      },
      complete() {},
    },
  );
  return () => {
    isStopped = true;
    unsubscribe();
  };
}

/**
 * Creates a WebSocket client with the access token of the session, also for other subscriptions. It
 * ends when the user signs out: create another one for the next user.
 * @param {Session} session @param {unknown} [webSocketImpl]
 */
export function createSocket(session, webSocketImpl) {
  /** @type {string | null} */
  let sent = null;
  /** @type {WebSocket | null} */
  let open = null;
  let isRefused = false;

  // The server closes the socket when its token expires, unless it gets the next token in time.
  const forget = session.onChange(({ kind }) => {
    if (kind === "refreshed") open?.send(JSON.stringify({ type: "ping", payload: params() }));
    if (kind !== "signedOut") return;
    forget();
    // Rejects if the connection is lost while it is opened.
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
      // If the refresh fails, the old token is sent, and the client reconnects later.
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

/** Waits 1 to 1.5 times as long, so that clients do not all reconnect at the same moment. */
function pause(/** @type {number} */ ms) {
  return new Promise((/** @type {(_: void) => void} */ resolve) =>
    setTimeout(resolve, ms * (1 + Math.random() / 2)),
  );
}
