import type { Submission } from "./useSubmission";
import { useNow } from "./Countdown";

/** The errors of a form, announced to screen readers. */
export function Problems({ id, submission }: { id: string; submission: Submission }) {
  const { errors, waitUntil } = submission;
  return (
    <>
      <div role="alert" id={id} className="account-problem">
        {errors.map(({ code, message }) => (
          <p key={`${code} ${message}`}>
            {message} {code && <code>{code}</code>}
          </p>
        ))}
      </div>
      {waitUntil > 0 && <Wait until={waitUntil} />}
    </>
  );
}

function Wait({ until }: { until: number }) {
  const seconds = Math.ceil((until - useNow()) / 1000);
  const message = seconds > 0 ? `Try again in ${seconds} s.` : "You can try again now.";
  return <p role="timer">{message}</p>;
}
