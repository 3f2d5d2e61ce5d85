import { type FormEvent, useRef, useState } from "react";

import type { UserError } from "../operations";
import { messageOf } from "../requests";

export interface Submission {
  errors: UserError[];
  busy: boolean;
  /** When the user can try again, in milliseconds; 0 if at once. */
  waitUntil: number;
  submit: (event: FormEvent<HTMLFormElement>) => void;
}

/** Handles the submission of a form. `send` receives the values, and returns the errors. */
export function useSubmission(
  send: (entered: Record<string, string>) => Promise<UserError[]>,
): Submission {
  const [errors, setErrors] = useState<UserError[]>([]);
  const [busy, setBusy] = useState(false);
  const [waitUntil, setWaitUntil] = useState(0);
  const running = useRef(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    // Ignore a second press of Enter.
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setErrors([]);
    void attempt(send, event.currentTarget).then((found) => {
      running.current = false;
      setBusy(false);
      setErrors(found);
      const wait = found.find(({ retryAfter }) => retryAfter !== null)?.retryAfter ?? 0;
      setWaitUntil(wait ? Date.now() + wait * 1000 : 0);
    });
  };
  return { errors, busy, waitUntil, submit };
}

async function attempt(
  send: (entered: Record<string, string>) => Promise<UserError[]>,
  form: HTMLFormElement,
): Promise<UserError[]> {
  const entered = Object.fromEntries(new FormData(form)) as Record<string, string>;
  try {
    return await send(entered);
  } catch (error) {
    return [{ code: "", message: messageOf(error), field: null, retryAfter: null }];
  }
}
