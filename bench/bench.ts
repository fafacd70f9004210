/**
 * `npm run bench [-- NAME …]`: every bench of this folder in turn, one process each so that none disturbs the next.
 * Prints JSON lines {name, value, unit, peer, peerValue, ratio}; what they say on standard error is passed on.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'

const wanted = process.argv.slice(2)
const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'bench.ts')
  .map((file) => file.replace('.ts', ''))
  .filter((name) => wanted.length === 0 || wanted.includes(name))

const machine = {
  machine: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  node: process.version,
  atMs: Date.now(),
}
console.log(JSON.stringify(machine))
let failed = 0
for (const bench of benches) {
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${bench}.ts`)], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status === 0) continue
  console.error(`bench ${bench} ended with ${status}`)
  failed++
}
process.exitCode = failed === 0 ? 0 : 1
