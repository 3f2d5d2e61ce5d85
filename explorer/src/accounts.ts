import { LOG_IN, LOG_OUT, type SessionPayload, type UserError } from "./operations";
import { bearer, messageOf, mutate } from "./requests";
import { Session } from "./session";
import { watch } from "./watching";

export interface Credentials {
  username: string;
  password: string;
  newPassword?: string;
}

/** The accounts that are signed in on this page, and the one that operations are sent as. */
export class Accounts {
  sessions: readonly Session[] = [];
  active: Session | undefined;
  /** What happened last, for people who do not see it. */
  status = "";
  version = 0;
  #undo = new WeakMap<Session, () => void>();
  #listeners = new Set<() => void>();

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Signs in, and sends operations as this account from now on. Returns what went wrong. */
  async signIn(input: Credentials): Promise<UserError[]> {
    const { tokens, user, errors } = await mutate<SessionPayload>(LOG_IN, { input });
    if (!tokens || !user) return errors;
    const earlier = this.sessions.find((session) => session.user.id === user.id);
    const session = new Session(user, tokens);
    const others = this.sessions.filter((other) => other !== earlier);
    this.sessions = [...others, session];
    this.#follow(session);
    this.choose(session);
    this.#say(`Signed in as ${user.username}.`);
    if (earlier) void this.#replace(earlier);
    return [];
  }

  /** Ends the session on the server, and forgets it. */
  async signOut(session: Session): Promise<void> {
    try {
      await this.#logOut(session);
    } catch (error) {
      this.#follow(session);
      // Where only the reply was lost, this tells that the session is over.
      await session.refresh().catch(() => undefined);
      if (session.endedBecause === null) throw new Error(`Not signed out: ${messageOf(error)}`);
    }
    this.sessions = this.sessions.filter((other) => other !== session);
    if (this.active === session) this.active = this.sessions.at(-1);
    this.#say(`${session.user.username} is signed out.`);
  }

  /** Sends operations as this account from now on; undefined is nobody. */
  choose(session: Session | undefined): void {
    this.active = session;
    const name = session ? session.user.username : "nobody";
    this.#say(`Operations are sent as ${name}.`);
  }

  #follow(session: Session): void {
    const stopWatching = watch(session);
    const stopListening = session.listen(() => {
      if (session.endedBecause === null) this.#tell();
      // The panel itself says why the chosen one is over.
      else if (session === this.active) this.#say("");
      else this.#say(`The session of ${session.user.username} is over.`);
    });
    this.#undo.set(session, () => {
      stopListening();
      stopWatching();
    });
  }

  /** Ends a session that another one stands for now; here at least, where the server fails. */
  async #replace(earlier: Session): Promise<void> {
    try {
      await this.#logOut(earlier);
    } catch {
      earlier.end("Another session stands for it.");
      this.#say(`The earlier session of ${earlier.user.username} could not be signed out.`);
    }
  }

  async #logOut(session: Session): Promise<void> {
    const token = await session.freshToken();
    // Before it ends, or this would be told as something that happened elsewhere.
    this.#undo.get(session)?.();
    if (token) await mutate(LOG_OUT, {}, bearer(token));
    session.end("It was signed out here.");
  }

  #say(status: string): void {
    this.status = status;
    this.#tell();
  }

  #tell(): void {
    this.version += 1;
    for (const listener of this.#listeners) listener();
  }
}

export const accounts = new Accounts();
