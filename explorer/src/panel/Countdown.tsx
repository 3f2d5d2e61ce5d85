import { useEffect, useState } from "react";

/** A time of day, and the remaining time. */
export function Countdown({ until }: { until: number }) {
  const now = useNow();
  return (
    <>
      {new Date(until).toLocaleTimeString()}{" "}
      <span role="timer">(in {clockOf(Math.max(0, until - now))})</span>
    </>
  );
}

/** Returns the time in milliseconds, updated every second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}

function clockOf(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
