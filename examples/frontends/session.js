// The session of one user, for any client library: signs in, refreshes, signs out.
// Tokens are in memory only.
import { ask, askAgain } from "./api.js";
import { RefreshKey } from "./refresh-key.js";

/** @import { Manifest } from "./api.js" */
/** @typedef {{ id: string, username: string }} User */
/**
 * An error that the user can fix: show `message`; `retryAfter` is in seconds.
 * @typedef {{ code: string, message: string, field: string[] | null, retryAfter: number | null }}
 *   UserError
 */
/** @typedef {{ accessToken: string, refreshToken: string | null, expiresIn: number }} Tokens */
/** @typedef {{ tokens: Tokens | null, user: User | null, errors: UserError[] }} SignedIn */
/**
 * `issued` has all access tokens since the sign-in.
 * @typedef {{ tokens: Tokens, user: User, renewAt: number, issued: Set<string> }} Held
 */
/** @typedef {{ kind: "signedIn" | "refreshed" | "signedOut", reason?: string }} Change */
/** @typedef {(change: Change) => void} Listener */

const SIGNED_IN = `tokens { accessToken refreshToken expiresIn } user { id username }
  errors { code message field retryAfter }`;
const LOGIN = `mutation($input: LoginInput!) { login(input: $input) { ${SIGNED_IN} } }`;
const REFRESH = `mutation($input: RefreshTokensInput!) {
  refreshTokens(input: $input) { ${SIGNED_IN} }
}`;
const LOGOUT = "mutation { logout { endedSessions } }";
export const SESSION_DOCUMENTS = [LOGIN, REFRESH, LOGOUT];

// Tokens are refreshed after this part of their lifetime, before they expire.
const RENEWED_AFTER = 0.9;

/** Another user has signed in, perhaps in another tab. The request of the first is not repeated. */
export class AnotherUser extends Error {
  constructor() {
    super("Another user has signed in.");
  }
}

export class Session {
  /**
   * The manifest of trusted documents: IDs are sent instead of texts.
   * @type {Manifest}
   */
  trustedDocuments = {};
  /** @type {Held | null} */
  #held = null;
  /** @type {Promise<string | null> | null} */
  #refreshing = null;
  /** @type {Set<Listener>} */
  #listeners = new Set();
  /** @type {BroadcastChannel | null} */
  #tabs = null;
  #refreshKey;
  /**
   * The last refresh token, also of a session that has ended. It proves a known device, so that
   * wrong passwords of strangers do not delay the next sign-in. With `COOKIE` the browser has a
   * cookie for this.
   * @type {string | undefined}
   */
  #deviceProof;

  /**
   * With `COOKIE` the refresh token is in a cookie that no script can read. The user stays signed
   * in after a reload, and all tabs share the session. Call `resume` when the page opens.
   * @param {string} url @param {"BODY" | "COOKIE"} [delivery]
   */
  constructor(url, delivery = "BODY") {
    this.url = url;
    this.delivery = delivery;
    /** @type {RequestCredentials} */
    this.credentials = delivery === "COOKIE" ? "include" : "omit";
    // Stored like the refresh token: in memory, or shared by all tabs.
    this.#refreshKey = new RefreshKey(delivery === "COOKIE" ? `postern refresh ${url}` : null);
    if (delivery === "COOKIE") this.#joinTabs();
  }

  /** The signed-in user, or null. */
  get user() {
    return this.#held?.user ?? null;
  }

  /** The current access token, which may have expired. */
  get token() {
    return this.#held?.tokens.accessToken ?? null;
  }

  /** Whether the access token must be refreshed before the next request. */
  get isStale() {
    return this.#refreshing !== null || (this.#held !== null && Date.now() >= this.#held.renewAt);
  }

  /**
   * Whether an access token belongs to the current sign-in, even if it is old.
   * @param {string | null} token
   */
  isOwn(token) {
    return token !== null && this.#held !== null && this.#held.issued.has(token);
  }

  /** Calls `listener` after each change. Returns a function that stops it. */
  onChange(/** @type {Listener} */ listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Signs in, and resolves to the errors that the user can fix; an empty list means success. Pass
   * `newPassword` after PASSWORD_CHANGE_REQUIRED. Signs out the current user first. Rejects with
   * Unavailable.
   * @param {string} username @param {string} password @param {string} [newPassword]
   */
  async signIn(username, password, newPassword) {
    // Signs out locally even if the server cannot be reached.
    if (this.#held) await this.signOut().catch(() => this.end("SIGNED_OUT"));
    // If two replies set the cookie, the one of the sign-in must be the last.
    await this.#refreshing?.catch(() => {});
    const proof = { refreshToken: this.#deviceProof };
    const input = { username, password, newPassword, delivery: this.delivery, ...proof };
    const sentAt = Date.now();
    const { login } = await ask(this, LOGIN, { input });
    if (login.tokens) {
      this.#begin(login, sentAt);
      this.#tabs?.postMessage("signedIn");
    }
    return /** @type {UserError[]} */ (login.errors);
  }

  /** Resumes the session of the cookie, if there is one. Rejects with Unavailable. */
  async resume() {
    await this.#refreshOnce();
    return this.user;
  }

  /** Returns a valid access token, or null if no user is signed in. Rejects with Unavailable. */
  async freshToken() {
    return this.isStale ? this.#refreshOnce() : this.token;
  }

  /**
   * Returns the access token that replaces a refused one. Refreshes once, even if several requests
   * were refused. Returns null if the user is signed out, or if no token was sent. Rejects with
   * Unavailable, AnotherUser.
   * @param {string | null} refused
   */
  async refresh(refused) {
    if (refused === null || !this.#held) return null;
    if (!this.isOwn(refused)) throw new AnotherUser();
    return refused === this.token ? this.#refreshOnce() : this.freshToken();
  }

  /**
   * Ends the session on the server. Rejects with Unavailable, and then the user is still signed in.
   * Rejects with AnotherUser.
   */
  async signOut() {
    const token = await this.freshToken();
    if (!(await this.#logOut(token))) await this.#logOut(await this.refresh(token));
    // The user has signed in again before the reply came.
    if (this.#held && !this.isOwn(token)) return;
    this.#tabs?.postMessage("signedOut");
    this.end("SIGNED_OUT");
  }

  /** Forgets the session after the server or another tab has ended it. */
  end(/** @type {string} */ reason) {
    if (!this.#held) return;
    this.#held = null;
    this.#notify({ kind: "signedOut", reason });
  }

  /** Stops listening to other tabs. */
  close() {
    this.#tabs?.close();
  }

  /** Returns whether the server accepted the token. @param {string | null} token */
  async #logOut(token) {
    return token === null || (await ask(this, LOGOUT, {}, { token })).logout !== null;
  }

  #refreshOnce() {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh() {
    const before = this.#held;
    const input = this.delivery === "BODY" ? { refreshToken: before?.tokens.refreshToken } : {};
    const sentAt = Date.now();
    const key = this.#refreshKey.get();
    const { refreshTokens } = await askAgain(this, REFRESH, { input }, key);
    try {
      return this.#take(refreshTokens, before, sentAt);
    } finally {
      this.#refreshKey.forget();
    }
  }

  /**
   * @param {any} refreshTokens @param {Held | null} before @param {number} sentAt
   * @returns {string | null}
   */
  #take(refreshTokens, before, sentAt) {
    // The user has signed out or in before the reply came.
    if (this.#held !== before) return before ? null : this.token;
    if (!refreshTokens.tokens) {
      this.end(refreshTokens.errors[0].code);
      return null;
    }
    if (before && before.user.id === refreshTokens.user.id) {
      this.#hold(refreshTokens, sentAt, before.issued);
      this.#notify({ kind: "refreshed" });
    } else {
      this.#begin(refreshTokens, sentAt);
      if (before) throw new AnotherUser();
    }
    return this.token;
  }

  /** @param {any} signedIn @param {number} sentAt */
  #begin(signedIn, sentAt) {
    this.end("ANOTHER_USER");
    this.#hold(signedIn, sentAt, new Set());
    this.#notify({ kind: "signedIn" });
  }

  /** @param {any} signedIn @param {number} sentAt @param {Set<string>} issued */
  #hold({ tokens, user }, sentAt, issued) {
    issued.add(tokens.accessToken);
    this.#deviceProof = tokens.refreshToken ?? undefined;
    const renewAt = sentAt + tokens.expiresIn * 1000 * RENEWED_AFTER;
    this.#held = { tokens, user, renewAt, issued };
  }

  #notify(/** @type {Change} */ change) {
    for (const listener of [...this.#listeners]) listener(change);
  }

  #joinTabs() {
    this.#tabs = new BroadcastChannel(`postern ${this.url}`);
    // In Node an open channel keeps the process running; browsers have no `unref`.
    /** @type {{ unref?: () => void }} */ (this.#tabs).unref?.();
    this.#tabs.onmessage = ({ data }) => {
      if (data === "signedOut") this.end("SIGNED_OUT_IN_ANOTHER_TAB");
      else this.resume().catch(() => {});
    };
  }
}
