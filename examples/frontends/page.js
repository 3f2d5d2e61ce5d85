// A page that stays signed in when it is reloaded.
import { createClient, me } from "./fetch.js";
import { listen } from "./session-events.js";
import { Session } from "./session.js";

// Never from the page's own address: a link could name a server that collects passwords.
const { content } = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=postern]"));
const session = new Session(content, "COOKIE");
const ask = createClient(session);

const form = /** @type {HTMLFormElement} */ (element("sign-in"));

session.onChange(({ kind, reason }) => {
  show();
  if (kind !== "refreshed") tell(reason ? `Signed out: ${reason}` : "");
});
listen(session);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = new FormData(form);
  attempt(() => signIn(String(typed.get("username")), String(typed.get("password"))));
});
element("ask").addEventListener("click", () =>
  attempt(async () => tell(`The server says: ${(await me(ask))?.username ?? "nobody"}.`)),
);
element("sign-out").addEventListener("click", () => attempt(() => session.signOut()));

await attempt(() => session.resume());
show();

/** @param {string} username @param {string} password */
async function signIn(username, password) {
  const errors = await session.signIn(username, password);
  if (errors.length === 0) return form.reset();
  tell(errors.map(({ message }) => message).join(" "));
  const seconds = Math.max(...errors.map(({ retryAfter }) => retryAfter ?? 0));
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = seconds > 0;
  setTimeout(() => (button.disabled = false), seconds * 1000);
}

/**
 * Does it, and says so where the server cannot be reached: the person stays signed in.
 * @param {() => unknown} action
 */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    tell(`That did not work: ${error instanceof Error ? error.message : error}`);
  }
}

function show() {
  form.hidden = session.user !== null;
  element("account").hidden = session.user === null;
  element("name").textContent = session.user?.username ?? "";
}

function tell(/** @type {string} */ text) {
  element("told").textContent = text;
}

function element(/** @type {string} */ id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
