/**
 * Run by a supervisor of another version (`node describe.ts --home DIR [--port N]`) before it hands over: this version
 * reads the settings and says how its processes are started. What it prints is a contract between versions.
 */
import { join } from 'node:path'
import { faultLines } from '../foundation/errors.ts'
import { readArguments } from './arguments.ts'
import { processPlans } from './process-plans.ts'

try {
  const { home, settings } = await readArguments(process.argv.slice(2))
  const plans = processPlans(home, join(import.meta.dirname, '..', '..'), settings)
  process.stdout.write(`${JSON.stringify({ plans })}\n`)
} catch (error) {
  process.stderr.write(`${faultLines(error).join('\n')}\n`)
  process.exitCode = 1
}
