// One person's session with Postern, for any client: signs in, stays signed in, signs out.
// Tokens are held in memory only, and are nowhere when the page is closed.
import { ask, askAgain } from "./api.js";
import { RefreshKey } from "./refresh-key.js";

/** @import { Manifest } from "./api.js" */
/** @typedef {{ id: string, username: string }} User */
/**
 * What a person can put right: show `message`; `retryAfter` is in seconds.
 * @typedef {{ code: string, message: string, field: string[] | null, retryAfter: number | null }}
 *   UserError
 */
/** @typedef {{ accessToken: string, refreshToken: string | null, expiresIn: number }} Tokens */
/** @typedef {{ tokens: Tokens | null, user: User | null, errors: UserError[] }} SignedIn */
/**
 * `issued` has all access tokens that the server gave since the sign-in.
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

// Renewed after this part of a token's life, so that no request is sent with its last breath.
const RENEWED_AFTER = 0.9;

/** Somebody else signed in meanwhile, perhaps in another tab: what the first asked is not sent. */
export class AnotherUser extends Error {
  constructor() {
    super("Somebody else has signed in.");
  }
}

export class Session {
  /**
   * The manifest of a server that runs trusted documents only: IDs are sent instead of texts.
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
   * The last refresh token that the server gave, also of a session that has ended. It proves that
   * this device has signed in before: then wrong passwords of strangers do not delay the next
   * sign-in. With `COOKIE` the browser has a cookie for that.
   * @type {string | undefined}
   */
  #deviceProof;

  /**
   * With `COOKIE` the refresh token is in a cookie that no script can read: a page stays signed in
   * when it is reloaded, and shares its session with the other tabs. Call `resume` at its start.
   * @param {string} url @param {"BODY" | "COOKIE"} [delivery]
   */
  constructor(url, delivery = "BODY") {
    this.url = url;
    this.delivery = delivery;
    /** @type {RequestCredentials} */
    this.credentials = delivery === "COOKIE" ? "include" : "omit";
    // It is kept where the refresh token is: in memory, or where all tabs see it.
    this.#refreshKey = new RefreshKey(delivery === "COOKIE" ? `postern refresh ${url}` : null);
    if (delivery === "COOKIE") this.#joinTabs();
  }

  /** Who is signed in. */
  get user() {
    return this.#held?.user ?? null;
  }

  /** The access token as it is, perhaps expired. */
  get token() {
    return this.#held?.tokens.accessToken ?? null;
  }

  /** Whether the access token is to be renewed before it is sent again. */
  get isStale() {
    return this.#refreshing !== null || (this.#held !== null && Date.now() >= this.#held.renewAt);
  }

  /**
   * Whether the access token, as old as it may be, is of the sign-in that there is now.
   * @param {string | null} token
   */
  isOwn(token) {
    return token !== null && this.#held !== null && this.#held.issued.has(token);
  }

  /** Calls `listener` at every change until the function that it returns is called. */
  onChange(/** @type {Listener} */ listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves to what the person can put right: nothing, if they are signed in. A `newPassword` is
   * for who is told PASSWORD_CHANGE_REQUIRED. Whoever was signed in is signed out first. Rejects
   * with Unavailable.
   * @param {string} username @param {string} password @param {string} [newPassword]
   */
  async signIn(username, password, newPassword) {
    // Here also where the server cannot be told.
    if (this.#held) await this.signOut().catch(() => this.end("SIGNED_OUT"));
    // Of two replies that set the cookie, that of the sign-in must be the last.
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

  /** Takes up the session of the cookie, if there is one. Rejects with Unavailable. */
  async resume() {
    await this.#refreshOnce();
    return this.user;
  }

  /** An access token to send now; null if nobody is signed in. Rejects with Unavailable. */
  async freshToken() {
    return this.isStale ? this.#refreshOnce() : this.token;
  }

  /**
   * The access token after the one that the server refused: however many requests are refused, and
   * however late they hear of it, it is renewed once. Null when the person is signed out, or none
   * was sent. Rejects with Unavailable, AnotherUser.
   * @param {string | null} refused
   */
  async refresh(refused) {
    if (refused === null || !this.#held) return null;
    if (!this.isOwn(refused)) throw new AnotherUser();
    return refused === this.token ? this.#refreshOnce() : this.freshToken();
  }

  /**
   * Ends the session at the server. Rejects with Unavailable: then the person is still in. Rejects
   * with AnotherUser.
   */
  async signOut() {
    const token = await this.freshToken();
    if (!(await this.#logOut(token))) await this.#logOut(await this.refresh(token));
    // Signed in anew while the reply was on its way.
    if (this.#held && !this.isOwn(token)) return;
    this.#tabs?.postMessage("signedOut");
    this.end("SIGNED_OUT");
  }

  /** Forgets the session: the server, or another tab, has ended it. */
  end(/** @type {string} */ reason) {
    if (!this.#held) return;
    this.#held = null;
    this.#tell({ kind: "signedOut", reason });
  }

  /** Hears no other tab any more. */
  close() {
    this.#tabs?.close();
  }

  /** Whether the server knew the token. @param {string | null} token */
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
    // Signed out, or in, while the reply was on its way.
    if (this.#held !== before) return before ? null : this.token;
    if (!refreshTokens.tokens) {
      this.end(refreshTokens.errors[0].code);
      return null;
    }
    if (before && before.user.id === refreshTokens.user.id) {
      this.#hold(refreshTokens, sentAt, before.issued);
      this.#tell({ kind: "refreshed" });
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
    this.#tell({ kind: "signedIn" });
  }

  /** @param {any} signedIn @param {number} sentAt @param {Set<string>} issued */
  #hold({ tokens, user }, sentAt, issued) {
    issued.add(tokens.accessToken);
    this.#deviceProof = tokens.refreshToken ?? undefined;
    const renewAt = sentAt + tokens.expiresIn * 1000 * RENEWED_AFTER;
    this.#held = { tokens, user, renewAt, issued };
  }

  #tell(/** @type {Change} */ change) {
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
