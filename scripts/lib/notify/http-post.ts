const TIMEOUT_SECONDS = 10;

/** An answer with a status other than 2xx. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`it answered ${status}`);
    this.status = status;
  }
}

/**
 * Sends JSON, or nothing, to a webhook. A signal does not stop it: that a run was interrupted is worth a notification.
 *
 * @throws HttpError for any answer but 2xx; the error of the network where there is no answer in 10 s
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
  if (!response.ok) throw new HttpError(response.status);
}
