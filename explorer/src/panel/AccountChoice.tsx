import { useGraphiQL } from "@graphiql/react";

import type { Session } from "../session";
import { useAccounts } from "../useAccounts";

/** As whom operations are sent. */
export function AccountChoice() {
  const accounts = useAccounts();
  const subscribes = useGraphiQL((state) => state.subscription !== null);
  return (
    <fieldset>
      <legend>Operations are sent as</legend>
      {[...accounts.sessions, undefined].map((session) => (
        <label key={session?.user.id ?? "nobody"} className="account-choice">
          <input
            type="radio"
            name="account"
            checked={accounts.active === session}
            onChange={() => accounts.choose(session)}
          />
          {session ? nameOf(session) : "nobody"}
        </label>
      ))}
      {subscribes && <p>A subscription that runs stays with the account it was started as.</p>}
    </fieldset>
  );
}

function nameOf(session: Session): string {
  return session.endedBecause === null ? session.user.username : `${session.user.username} (over)`;
}
