/** For tests only, a process of its own: reads and indexes a file, and says how much memory that took. */
import { openMidasIndex } from './midas-index.ts'
import { openMidasFile } from './midas-reader.ts'

const path = process.argv[2]!
const reader = openMidasFile(path)
for await (const _ of reader);
await openMidasIndex(path)
const peakMb = process.resourceUsage().maxRSS / 1024
process.stdout.write(JSON.stringify({ fault: reader.outcome.fault?.code, peakMb }))
