// The idempotency key of a refresh without a reply. The refresh is repeated with the same key after
// any outage, and the server returns the same tokens. So a lost reply does not sign the user out.

export class RefreshKey {
  /** @type {string | null} */
  #key = null;
  #name;

  /**
   * With a name, the key is in `localStorage`: it stays after a reload, and tabs share it. It is
   * useless without the refresh token.
   * @param {string | null} name
   */
  constructor(name) {
    this.#name = name;
  }

  /** Returns the key of the refresh without a reply, or a new key. */
  get() {
    this.#key = this.#stored() ?? this.#key ?? newKey();
    if (this.#name !== null) withStorage((storage) => storage.setItem(this.#name, this.#key));
    return this.#key;
  }

  /** Deletes the key after the reply was stored. */
  forget() {
    this.#key = null;
    if (this.#name !== null) withStorage((storage) => storage.removeItem(this.#name));
  }

  #stored() {
    if (this.#name === null) return null;
    return withStorage((storage) => storage.getItem(this.#name));
  }
}

/**
 * Returns null if there is no storage, or the browser refuses it. Then the key is in memory only.
 * @param {(storage: any) => string | null | void} use
 */
function withStorage(use) {
  try {
    return use(globalThis.localStorage) ?? null;
  } catch {
    return null;
  }
}

function newKey() {
  // `crypto.randomUUID` is missing on pages without TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
