import { useSyncExternalStore } from "react";

import { accounts, type Accounts } from "./accounts";

/** Returns the accounts, and renders the component again when they change. */
export function useAccounts(): Accounts {
  useSyncExternalStore(accounts.listen, () => accounts.version);
  return accounts;
}
