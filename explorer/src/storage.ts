import type { Storage } from "@graphiql/toolkit";

// Editors may contain passwords and tokens, so only the theme is stored in the browser.
const KEPT = "graphiql:theme";
const memory = new Map<string, string>();

const place = (key: string) =>
  key === KEPT
    ? {
        get: () => localStorage.getItem(key),
        set: (value: string) => localStorage.setItem(key, value),
        remove: () => localStorage.removeItem(key),
      }
    : {
        get: () => memory.get(key) ?? null,
        set: (value: string) => void memory.set(key, value),
        remove: () => void memory.delete(key),
      };

export const storage: Storage = {
  get length() {
    return memory.size;
  },
  getItem: (key) => place(key).get(),
  setItem: (key, value) => place(key).set(value),
  removeItem: (key) => place(key).remove(),
  clear: () => memory.clear(),
};
