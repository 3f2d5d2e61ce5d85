import { SESSION_EVENTS, type SessionEvent } from "./operations";
import type { Session } from "./session";
import { closeCode, connect } from "./sockets";

const REASONS: Record<string, string> = {
  LOGGED_OUT: "it was signed out elsewhere.",
  LOGGED_OUT_EVERYWHERE: "its user signed out everywhere.",
  REVOKED_BY_OWNER: "its user ended it from another session.",
  REVOKED_BY_OPERATOR: "an operator ended it.",
  REFRESH_TOKEN_REPLAYED: "a refresh token was used twice, so it may have been stolen.",
  USER_DISABLED: "an operator disabled the account.",
  PASSWORD_CHANGED: "the password was changed or reset.",
  PASSWORD_RESET_REQUIRED: "an operator asked for another password.",
};

// Each waits twice as long as the one before: the watch outlives a night without a network.
const RETRIES = 20;

/** Ends the session here when it is ended elsewhere. Returns what stops the watch. */
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
        session.end(`The session is over: ${REASONS[reason] ?? "it was ended."}`);
        return;
      }
    }
  } catch (error) {
    // 4401 is for good; the refresh tells why. Without sockets the next refresh tells it too.
    if (closeCode(error) === 4401) await session.refresh().catch(() => undefined);
  }
}
