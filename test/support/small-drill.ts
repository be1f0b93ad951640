/** The embedded drill with a fiftieth of its data. Prints its report. */
import { embeddedDrill } from '../../scripts/lib/embedded-drill.ts';

console.log(JSON.stringify(await embeddedDrill(0.02)));
