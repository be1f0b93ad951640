/* Tells what its arguments say, each as a message of its own, as a script does. */
import { loadConfig } from '../../../scripts/lib/config/config.ts';
import { notify } from '../../../scripts/lib/notify/notify.ts';

const config = loadConfig('production');
for (const text of process.argv.slice(2)) await notify(config, text, 1);
