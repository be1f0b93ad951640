export interface Stopwatch {
  /** Ends a step, which began when the previous one ended. */
  lap: (step: string) => void;
  /** Seconds of each step so far. */
  laps: () => Record<string, number>;
  /** Seconds of all steps so far. */
  total: () => number;
}

/** Times the steps of a run. */
export function stopwatch(): Stopwatch {
  const seconds: Record<string, number> = {};
  let last = performance.now();
  return {
    lap: step => {
      const now = performance.now();
      seconds[step] = Math.round(now - last) / 1000;
      last = now;
    },
    laps: () => seconds,
    total: () => Math.round(Object.values(seconds).reduce((sum, each) => sum + each, 0) * 1000) / 1000,
  };
}
