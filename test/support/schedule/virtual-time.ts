/** A clock that a test turns: waiting takes no time, and the clock on the wall can be set. */
export interface VirtualTime {
  now: () => Date;
  sleep: (seconds: number) => Promise<void>;
  /** Does something when the wall clock would first show `time`, were it never set. */
  at: (time: string, action: () => void) => void;
  /** Sets the wall clock forward, or back. */
  set: (seconds: number) => void;
  /** Lets time pass until `time`, then rejects all that sleeps and is to sleep. */
  until: (time: string) => Promise<void>;
}

/** @param perReading ms that pass at each look at the clock, as on a slow machine */
export function startVirtualTime(start: string | Date, perReading = 0): VirtualTime {
  let steady = new Date(start).getTime();
  let offset = 0;
  let over: Error | undefined;
  const timers: { due: number; act: (over?: Error) => void }[] = [];
  const add = (due: number, act: (over?: Error) => void) => {
    timers.push({ due, act });
    timers.sort((a, b) => a.due - b.due);
  };
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve));
  };
  return {
    now: () => {
      const instant = new Date(steady + offset);
      steady += perReading;
      return instant;
    },
    sleep: seconds =>
      over
        ? Promise.reject(over)
        : new Promise((resolve, reject) =>
            add(steady + seconds * 1000, error => (error ? reject(error) : resolve())),
          ),
    at: (time, action) => add(Date.parse(time), error => error ?? action()),
    set: seconds => {
      offset += seconds * 1000;
    },
    until: async time => {
      const end = Date.parse(time);
      await settle();
      while (timers.length > 0 && timers[0]!.due <= end) {
        const { due, act } = timers.shift()!;
        steady = Math.max(steady, due);
        act();
        await settle();
      }
      steady = Math.max(steady, end);
      over = new Error('the end of the test');
      for (const { act } of timers.splice(0)) act(over);
      await settle();
    },
  };
}
