import { LOG_IN, LOG_OUT, type SessionPayload, type UserError } from "./operations";
import { bearer, messageOf, mutate } from "./requests";
import { Session } from "./session";
import { watch } from "./sessionWatch";

export interface Credentials {
  username: string;
  password: string;
  newPassword?: string;
}

/** The accounts that are signed in on this page, and the one that operations are sent as. */
export class Accounts {
  sessions: readonly Session[] = [];
  active: Session | undefined;
  /** The last event, announced to screen readers. */
  status = "";
  version = 0;
  #unwatch = new WeakMap<Session, () => void>();
  #listeners = new Set<() => void>();

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Signs in, and selects the account. Returns the errors. */
  async signIn(input: Credentials): Promise<UserError[]> {
    const { tokens, user, errors } = await mutate<SessionPayload>(LOG_IN, { input });
    if (!tokens || !user) return errors;
    const earlier = this.sessions.find((session) => session.user.id === user.id);
    const session = new Session(user, tokens);
    const others = this.sessions.filter((other) => other !== earlier);
    this.sessions = [...others, session];
    this.#watch(session);
    this.choose(session);
    this.#setStatus(`Signed in as ${user.username}.`);
    if (earlier) void this.#replace(earlier);
    return [];
  }

  /** Signs out on the server, and removes the account. */
  async signOut(session: Session): Promise<void> {
    try {
      await this.#logOut(session);
    } catch (error) {
      this.#watch(session);
      // If only the reply was lost, the refresh fails: the session has ended.
      await session.refresh().catch(() => undefined);
      if (session.endedBecause === null) throw new Error(`Not signed out: ${messageOf(error)}`);
    }
    this.sessions = this.sessions.filter((other) => other !== session);
    if (this.active === session) this.active = this.sessions.at(-1);
    this.#setStatus(`${session.user.username} is signed out.`);
  }

  /** Selects the account for the next operations; undefined for none. */
  choose(session: Session | undefined): void {
    this.active = session;
    const how = session ? `as ${session.user.username}` : "without an account";
    this.#setStatus(`Operations are sent ${how}.`);
  }

  #watch(session: Session): void {
    const stopWatching = watch(session);
    const stopListening = session.listen(() => {
      if (session.endedBecause === null) this.#notify();
      // The panel shows why the selected session has ended.
      else if (session === this.active) this.#setStatus("");
      else this.#setStatus(`The session of ${session.user.username} has ended.`);
    });
    this.#unwatch.set(session, () => {
      stopListening();
      stopWatching();
    });
  }

  /** Ends a session that a newer one replaces, at least here if the server fails. */
  async #replace(earlier: Session): Promise<void> {
    try {
      await this.#logOut(earlier);
    } catch {
      earlier.end("A newer session replaced this one.");
      this.#setStatus(`The earlier session of ${earlier.user.username} could not be signed out.`);
    }
  }

  async #logOut(session: Session): Promise<void> {
    const token = await session.freshToken();
    // Stop watching first, or the end would be reported as a sign-out elsewhere.
    this.#unwatch.get(session)?.();
    if (token) await mutate(LOG_OUT, {}, bearer(token));
    session.end("You signed out.");
  }

  #setStatus(status: string): void {
    this.status = status;
    this.#notify();
  }

  #notify(): void {
    this.version += 1;
    for (const listener of this.#listeners) listener();
  }
}

export const accounts = new Accounts();
