const TIMEOUT_SECONDS = 10;

/** What a server answers that does not take a message. */
export class Unwelcome extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`it answered ${status}`);
    this.status = status;
  }
}

/**
 * Sends JSON, or nothing, to a web hook. Not bound to the interrupt: an interrupted run is just what somebody should
 * hear of.
 *
 * @throws Unwelcome for any answer but 2xx; the network's own error where there is none in 10 s
 */
export async function post(url: string, body?: object, headers: Record<string, string> = {}): Promise<void> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_SECONDS * 1000),
    });
    await response.body?.cancel();
  } catch (error) {
    throw (error as Error).cause ?? error; // fetch itself only says "fetch failed"
  }
  if (!response.ok) throw new Unwelcome(response.status);
}
