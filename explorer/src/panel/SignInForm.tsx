import { useId, useState } from "react";

import { PASSWORD, USERNAME } from "../page";
import { useAccounts } from "../useAccounts";
import { Field } from "./Field";
import { Problems } from "./Problems";
import { useSubmission } from "./useSubmission";

interface Props {
  /** The user whose session has ended; undefined for a new account. */
  username?: string;
  focuses?: boolean;
  onDone?: () => void;
  onRegister?: () => void;
}

export function SignInForm({ username, focuses = false, onDone, onRegister }: Props) {
  const accounts = useAccounts();
  const { submission, choosesPassword } = useSignIn(onDone);
  const id = useId();
  const shared = { submission, problems: id };
  // The example credentials are filled in for the first account only.
  const isFirst = username === undefined && accounts.sessions.length === 0;
  return (
    <form onSubmit={submission.submit} aria-label="Sign in">
      <h3>{username === undefined ? "Sign in" : "Sign in again"}</h3>
      <Field {...shared} name="username" label="Username or email" autoComplete="username"
        value={username ?? (isFirst ? USERNAME : "")} focuses={focuses} required />
      <Field {...shared} name="password" label="Password" type="password"
        autoComplete="current-password" value={isFirst ? PASSWORD : ""} required />
      {choosesPassword && (
        <Field {...shared} name="newPassword" label="New password" type="password"
          autoComplete="new-password" focuses required />
      )}
      <Problems id={id} submission={submission} />
      <div className="account-buttons">
        <button type="submit" className="account-main" aria-disabled={submission.busy}>
          Sign in
        </button>
        {onRegister && (
          <button type="button" onClick={onRegister}>
            Create an account
          </button>
        )}
        {!isFirst && onDone && (
          <button type="button" onClick={onDone}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}

function useSignIn(onDone?: () => void) {
  const accounts = useAccounts();
  // An admin set the password, so the user must choose a new one.
  const [choosesPassword, setChoosesPassword] = useState(false);
  const submission = useSubmission(async ({ username = "", password = "", newPassword }) => {
    const errors = await accounts.signIn({ username, password, newPassword });
    if (errors.some(({ code }) => code === "PASSWORD_CHANGE_REQUIRED")) setChoosesPassword(true);
    if (!errors.length) onDone?.();
    return errors;
  });
  return { submission, choosesPassword };
}
