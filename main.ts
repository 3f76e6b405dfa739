/** The program: a node with the services that come with Holdfast, as its environment sets it. `src/serve.ts` says how. */

import { serve } from "./src/serve.ts";

await serve();
