import type { Session } from "../session";
import { useAccounts } from "../useAccounts";

/** As whom operations are sent. */
export function AccountChoice() {
  const accounts = useAccounts();
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
    </fieldset>
  );
}

function nameOf(session: Session): string {
  return session.endedBecause === null ? session.user.username : `${session.user.username} (over)`;
}
