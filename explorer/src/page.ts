// The values that the server writes into the page (graph/explorer/page.py).
const root = document.getElementById("explorer");
if (!root) throw new Error("The page has no element #explorer.");

export const ROOT = root;
export const USERNAME = root.dataset.username ?? "";
export const PASSWORD = root.dataset.password ?? "";
export const SCHEMA_NEEDS_ACCOUNT = root.dataset.schemaNeeds === "account";

// The page has the same URL as the API.
export const API = window.location.pathname;
export const SOCKET = `${window.location.origin.replace(/^http/, "ws")}${API}`;
export const SCHEMA = new URL("explorer/schema.graphql", window.location.href).href;
