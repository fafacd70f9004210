/** npm run bench [NAME...]: runs bench/NAME.ts (default: all), one after the other; each prints figures as JSON lines. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './sources.ts'

const all = readdirSync(join(root, 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3))
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  console.error(`error: there is no bench '${unknown[0]}'.\n  There are ${all.join(', ')}.`)
  process.exit(2)
}
for (const name of wanted.length > 0 ? wanted : all) {
  console.error(`== ${name}`)
  const { status } = spawnSync(process.execPath, [join(root, 'bench', `${name}.ts`)], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
