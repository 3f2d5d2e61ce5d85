import { REFRESH, type SessionPayload, type Tokens, type User } from "./operations";
import { mutate } from "./requests";

const RETRY_MS = 5_000;
const LEAD_MS = 30_000;
// Expiry is rounded down to a second, so it can be up to one second before `expiresIn`.
const ROUNDING_MS = 1_000;
const SHORTEST_WAIT_MS = 250;

/** The session of an account. Its tokens are in this object only, so a reload deletes them. */
export class Session {
  user: User;
  /** Why the session has ended, for the user; null while it is active. */
  endedBecause: string | null = null;
  expiresAt = 0;
  #tokens: Tokens;
  #timer: number | undefined;
  #refreshing: Promise<void> | undefined;
  // The idempotency key of a refresh without a reply: a retry returns the same tokens.
  #refreshKey: string | undefined;
  #listeners = new Set<() => void>();

  constructor(user: User, tokens: Tokens) {
    this.user = user;
    this.#tokens = tokens;
    this.#store(tokens);
  }

  /** The access token; undefined if the session has ended. */
  get token(): string | undefined {
    return this.endedBecause === null ? this.#tokens.accessToken : undefined;
  }

  /** Calls back when the tokens, roles or `endedBecause` change. Returns a function that stops. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Returns a token that does not expire soon, refreshed if necessary. */
  async freshToken(): Promise<string | undefined> {
    // If the refresh fails, the operation fails too, and reports the error.
    if (Date.now() >= this.#refreshAt()) await this.refresh().catch(() => undefined);
    return this.token;
  }

  /** Refreshes the tokens, unless `used` was replaced already. Concurrent calls share a request. */
  async refresh(used = this.token): Promise<void> {
    if (used === undefined || used !== this.token) return;
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
  }

  /** Ends the session here, and deletes its tokens. */
  end(because: string): void {
    if (this.endedBecause !== null) return;
    window.clearTimeout(this.#timer);
    this.endedBecause = because;
    this.#tokens = { accessToken: "", refreshToken: "", expiresIn: 0 };
    this.#notify();
  }

  async #refresh(): Promise<void> {
    const { refreshToken } = this.#tokens;
    const input = { refreshToken };
    this.#refreshKey ??= newKey();
    const headers = { "Idempotency-Key": this.#refreshKey };
    const { tokens, user, errors } = await mutate<SessionPayload>(REFRESH, { input }, headers);
    this.#refreshKey = undefined;
    if (this.endedBecause !== null) return;
    if (errors[0]) {
      this.end(errors[0].message);
    } else if (tokens && user) {
      this.user = user;
      this.#store(tokens);
      this.#notify();
    }
  }

  #store(tokens: Tokens): void {
    this.#tokens = tokens;
    this.expiresAt = Date.now() + tokens.expiresIn * 1000;
    this.#refreshIn(this.#refreshAt() - Date.now());
  }

  #refreshAt(): number {
    const fifth = this.#tokens.expiresIn * 200;
    return this.expiresAt - ROUNDING_MS - Math.min(LEAD_MS, fifth);
  }

  #refreshIn(ms: number): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.refresh().catch(() => this.#refreshIn(RETRY_MS));
    }, Math.max(ms, SHORTEST_WAIT_MS));
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

function newKey(): string {
  // `crypto.randomUUID` is missing on pages without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
