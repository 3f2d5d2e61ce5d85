import { REFRESH, type SessionPayload, type Tokens, type User } from "./operations";
import { mutate } from "./requests";

const RETRY_MS = 5_000;
const LEAD_MS = 30_000;
// A token ends with a whole second, so up to one earlier than `expiresIn` says.
const ROUNDING_MS = 1_000;
const SHORTEST_WAIT_MS = 250;

/** One signed-in account. Its tokens live in this object alone: a reload forgets them. */
export class Session {
  user: User;
  /** Why it is over, in a sentence for people; null as long as it is not. */
  endedBecause: string | null = null;
  expiresAt = 0;
  #tokens: Tokens;
  #timer: number | undefined;
  #refreshing: Promise<void> | undefined;
  // Of a refresh without a reply: repeated with the same key, it gives the same tokens.
  #refreshKey: string | undefined;
  #listeners = new Set<() => void>();

  constructor(user: User, tokens: Tokens) {
    this.user = user;
    this.#tokens = tokens;
    this.#store(tokens);
  }

  /** The access token; undefined once the session is over. */
  get token(): string | undefined {
    return this.endedBecause === null ? this.#tokens.accessToken : undefined;
  }

  /** Calls back whenever the tokens, the roles or `endedBecause` are new, until it is undone. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A token that is still good for a moment, refreshed if need be. */
  async freshToken(): Promise<string | undefined> {
    // What keeps a refresh from working keeps the operation from working too, and is told there.
    if (Date.now() >= this.#refreshAt()) await this.refresh().catch(() => undefined);
    return this.token;
  }

  /** Refreshes the tokens, unless `used` has been followed by others; many callers, one request. */
  async refresh(used = this.token): Promise<void> {
    if (used === undefined || used !== this.token) return;
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
  }

  /** Forgets the tokens. */
  end(because: string): void {
    if (this.endedBecause !== null) return;
    window.clearTimeout(this.#timer);
    this.endedBecause = because;
    this.#tokens = { accessToken: "", refreshToken: "", expiresIn: 0 };
    this.#tell();
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
      this.#tell();
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

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function newKey(): string {
  // `crypto.randomUUID` is missing on pages without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
