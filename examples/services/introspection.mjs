// Asks Postern whether a token is still active (RFC 7662).
//
// Use it for operations that must not run after a session has ended. The service has its own
// account, with a role that grants only `tokens:introspect`.

/** Postern is unavailable, or refuses the account of this service. */
export class IntrospectionUnavailable extends Error {}

/** Calls `/introspect` with the account of this service. */
export class Introspection {
  #url;
  #account;
  #ownToken = Promise.resolve("");

  constructor(url, { username, password }) {
    this.#url = url;
    this.#account = { grant_type: "password", username, password };
  }

  /** Returns whether the token is active. Throws IntrospectionUnavailable. */
  async isActive(token) {
    try {
      const own = this.#ownToken;
      let reply = await this.#post("/introspect", { token }, await own.catch(() => ""));
      if (reply.status === 401) {
        // The token of this service has expired. Parallel requests sign in once.
        if (this.#ownToken === own) this.#ownToken = this.#logIn();
        reply = await this.#post("/introspect", { token }, await this.#ownToken);
      }
      if (!reply.ok) throw new Error(`Postern answered ${reply.status}`);
      return (await reply.json()).active === true;
    } catch (error) {
      throw new IntrospectionUnavailable("Postern is unavailable", { cause: error });
    }
  }

  async #logIn() {
    const reply = await this.#post("/token", this.#account);
    if (!reply.ok) throw new Error(`Postern answered ${reply.status}`);
    return (await reply.json()).access_token;
  }

  #post(path, form, bearer) {
    const headers = bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` };
    const signal = AbortSignal.timeout(2_000);
    const body = new URLSearchParams(form);
    return fetch(this.#url + path, { method: "POST", headers, body, signal });
  }
}
