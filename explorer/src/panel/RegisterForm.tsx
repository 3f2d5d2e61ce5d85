import { useId, useState } from "react";

import { REGISTER, type RegisterPayload } from "../operations";
import { mutate } from "../requests";
import { useAccounts } from "../useAccounts";
import { Field } from "./Field";
import { Problems } from "./Problems";
import { useSubmission } from "./useSubmission";

interface Props {
  onDone: () => void;
  onSignIn: () => void;
}

export function RegisterForm({ onDone, onSignIn }: Props) {
  const accounts = useAccounts();
  const [sentTo, setSentTo] = useState("");
  const submission = useSubmission(async ({ invitation, ...entered }) => {
    const input = { ...entered, ...(invitation ? { invitation } : {}) };
    const { emailSentTo, errors } = await mutate<RegisterPayload>(REGISTER, { input });
    if (errors.length) return errors;
    if (emailSentTo !== null) {
      setSentTo(emailSentTo);
      return [];
    }
    const { username = "", password = "" } = entered;
    const refusals = await accounts.signIn({ username, password });
    if (!refusals.length) onDone();
    return refusals;
  });
  const id = useId();
  const shared = { submission, problems: id };
  return (
    <form onSubmit={submission.submit} aria-label="Create an account">
      <h3>Create an account</h3>
      <Field {...shared} name="username" label="Username" autoComplete="username"
        focuses required />
      <Field {...shared} name="email" label="Email" type="email" autoComplete="email" required />
      <Field {...shared} name="password" label="Password" type="password"
        autoComplete="new-password" required />
      <Field {...shared} name="invitation" label="Invitation (optional)" autoComplete="off" />
      <Problems id={id} submission={submission} />
      <p role="status">{sentTo && `A link was sent to ${sentTo}. Open it, then sign in.`}</p>
      <div className="account-buttons">
        <button type="submit" className="account-main" aria-disabled={submission.busy}>
          Create the account
        </button>
        <button type="button" onClick={onSignIn}>
          Sign in instead
        </button>
      </div>
    </form>
  );
}
