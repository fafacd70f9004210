/**
 * Sets Cygnet up in its checkout and prints the path of the Node.js to run it on. Plain JavaScript for Node 20 and
 * built-in modules only: nothing else can be counted on before the first installation.
 */
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildWebApp } from './build-web.js'
import { installPackages } from './install.js'
import { explain, SetUpError } from './talk.js'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

try {
  await installPackages(root)
  const runtime = chooseRuntime()
  const servesPages = ['up', 'upgrade', 'install-service', 'demo', 'test', 'bundle'].includes(process.argv[2] ?? '')
  if (servesPages) await buildWebApp(root, runtime)
  process.stdout.write(`${runtime}\n`)
} catch (error) {
  explain(error)
  process.exitCode = error instanceof SetUpError ? 5 : 1
}

/** The host's Node.js if it is new enough, or else the one that the lockfile pins. */
function chooseRuntime() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 12)) return process.execPath
  const packaged = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (existsSync(packaged) && statSync(packaged).mode & 0o111) return packaged
  throw new SetUpError(
    `There is no packaged Node.js for ${process.platform}-${process.arch}.`,
    'Install Node.js 24.12 or later yourself, then run this again.',
  )
}
