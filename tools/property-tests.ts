/**
 * Property tests draw the same cases in every short run, so that a change is judged by what it changed; the long
 * versions (`./cygnet test --long ROOM`) draw new ones each time. CYGNET_SEED replays a failing seed in either.
 */
import * as fc from 'fast-check'

const everyday = 20_261_123
const { CYGNET_SEED: given, CYGNET_LONG: long } = process.env
if (given !== undefined) fc.configureGlobal({ seed: Number(given) })
else if (long === undefined) fc.configureGlobal({ seed: everyday })
