/**
 * An S3 server of a test's own. To load one costs more than most of what tests do with it, so a run of several files has
 * one process that holds the servers of all, each with its directory and port: test/runner/s3-host.ts.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { startThrowawayS3, type ThrowawayS3 } from '../../../scripts/lib/drill/throwaway-s3.ts';

/**
 * Starts a server that ends with this process.
 * @param here in this process, so that the test can reach into it; as always where no runner started this file
 */
export async function startTestS3(here = false): Promise<ThrowawayS3> {
  const host = process.env.TEST_S3_HOST;
  if (!host || here) return startThrowawayS3('bucket');
  const socket = connect(host);
  const [answer] = (await once(socket, 'data')) as [Buffer]; // a short one comes whole
  socket.unref(); // it keeps no test from ending
  return {
    ...JSON.parse(String(answer)),
    stop: async () => {
      const closed = once(socket, 'close');
      socket.ref().end();
      await closed;
    },
  };
}
