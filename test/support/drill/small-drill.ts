/** The embedded drill with a fiftieth of its data. Prints its report. */
import { embeddedDrill } from '../../../scripts/lib/drill/embedded.ts';

console.log(JSON.stringify(await embeddedDrill(0.02)));
