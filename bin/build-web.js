/** Builds the web app when its sources have changed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run.js'
import { takeTurn } from './launch-lock.js'
import { SetUpError, startProgress } from './talk.js'

/** Resolves when build/web was built from the sources that are there. */
export async function buildWebApp(root, runtime) {
  if (!existsSync(join(root, 'vite.config.ts'))) return
  const stamp = join(root, 'build', 'web.stamp')
  const wanted = hashOfSources(root)
  const isBuilt = () => existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === wanted
  if (isBuilt()) return
  const release = await takeTurn(join(root, '.cache', 'set-up.lock'))
  try {
    if (isBuilt()) return
    const progress = startProgress('building the web app')
    const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js')
    const { code, output } = await run(runtime, [vite, 'build'], root)
    progress.done(code === 0 ? 'done' : 'failed')
    if (code !== 0) throw new SetUpError('The web app could not be built.', output)
    mkdirSync(join(root, 'build'), { recursive: true })
    writeFileSync(stamp, `${wanted}\n`)
  } finally {
    release()
  }
}

/** Everything the bundler may read: the web app, the pages, the contracts and what they stand on. */
function hashOfSources(root) {
  const hash = createHash('sha256')
  for (const file of ['vite.config.ts', 'package-lock.json']) hash.update(readFileSync(join(root, file)))
  const folders = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  const paths = folders
    .filter((entry) => entry.isFile() && isWebSource(join(entry.parentPath, entry.name).slice(root.length + 1)))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  for (const path of paths) hash.update(path.slice(root.length)).update('\0').update(readFileSync(path)).update('\0')
  return hash.digest('hex')
}

function isWebSource(path) {
  if (/\.test\.tsx?$/.test(path)) return false
  return /\/pages\/|^src\/shell\/web\/|^src\/foundation\/|\/(contract|decide|words)\.ts$/.test(path)
}
