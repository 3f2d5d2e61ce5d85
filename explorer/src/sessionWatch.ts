import { SESSION_EVENTS, type SessionEvent } from "./operations";
import type { Session } from "./session";
import { closeCode, connect } from "./sockets";

const REASONS: Record<string, string> = {
  LOGGED_OUT: "signed out elsewhere.",
  LOGGED_OUT_EVERYWHERE: "signed out everywhere.",
  REVOKED_BY_OWNER: "ended from another session.",
  REVOKED_BY_OPERATOR: "ended by an admin.",
  REFRESH_TOKEN_REPLAYED: "a refresh token was used twice. It may have been stolen.",
  USER_DISABLED: "an admin disabled the account.",
  PASSWORD_CHANGED: "the password was changed or reset.",
  PASSWORD_RESET_REQUIRED: "an admin requires a new password.",
};

// With exponential backoff: enough for a night without a network.
const RETRIES = 20;

/** Ends the session here when it ends elsewhere. Returns a function that stops watching. */
export function watch(session: Session): () => void {
  const socket = connect(session, {}, RETRIES);
  const stop = () => void socket.dispose();
  const undo = session.listen(() => session.endedBecause !== null && stop());
  void listen(session, socket).finally(() => {
    undo();
    stop();
  });
  return stop;
}

async function listen(session: Session, socket: ReturnType<typeof connect>): Promise<void> {
  const events = socket.iterate<{ sessionEvents: SessionEvent }>({ query: SESSION_EVENTS });
  try {
    for await (const { data } of events) {
      const event = data?.sessionEvents;
      if (event?.kind === "REVOKED" && event.session.current) {
        const reason = event.session.endReason ?? "";
        session.end(`The session has ended: ${REASONS[reason] ?? "unknown reason."}`);
        return;
      }
    }
  } catch (error) {
    // 4401: the session has ended, and the refresh returns the reason.
    if (closeCode(error) === 4401) await session.refresh().catch(() => undefined);
  }
}
