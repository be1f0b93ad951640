/** Clients with an address each, as Nginx sees them through Cloudflare, who read all the time. */
import { cloudflareBefore } from './cloudflare.ts';
import type { Stack } from './stack.ts';

export interface Clients {
  /** What went wrong so far: `GET /api/v1/whoami: 502`. */
  failures: string[];
  sent: () => number;
  leave: () => Promise<void>;
}

/** Far below the limit of one client. */
const PAUSE = 400;

export async function clientsOf(stack: Stack, count: number): Promise<Clients> {
  const cloudflare = await cloudflareBefore(stack);
  const failures: string[] = [];
  let sent = 0;
  let leaving = false;
  const visit = async (client: string) => {
    while (!leaving) {
      sent++;
      try {
        const { status } = await cloudflare.ask(client, 'api', '/api/v1/whoami');
        if (status !== 200) failures.push(`GET /api/v1/whoami: ${status}`);
      } catch (error) {
        failures.push(`GET /api/v1/whoami: ${error}`);
      }
      await new Promise(resolve => setTimeout(resolve, PAUSE));
    }
  };
  const visits = Promise.all(Array.from({ length: count }, () => visit(cloudflare.client())));
  return {
    failures,
    sent: () => sent,
    async leave() {
      leaving = true;
      await visits;
    },
  };
}
