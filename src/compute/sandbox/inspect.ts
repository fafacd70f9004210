/** A look at the machine for `cygnet doctor`, whether or not a platform runs on it. Fetches and changes nothing. */
import { join } from 'node:path'
import type { Finding } from '../../foundation/findings.ts'
import { isNewEnough, isSetuid, versionOf, wheelPath } from './bubblewrap.ts'
import { gatherHostFacts } from './host-facts.ts'
import { isolationFindings } from './host-findings.ts'
import { sandboxBase, tryOut } from './sandbox.ts'

/** What isolates user code here, what does not, and how to mend it; `programFolders`: the home and the cache. */
export async function inspectIsolation(options: {
  searchPath: string
  cacheFolder: string
  programFolders: string[]
}): Promise<Finding[]> {
  return isolationFindings(await gatherHostFacts({ ...options, trial: await trial(options) }))
}

/** Null: there is no bubblewrap here yet that could be tried. */
async function trial(options: { searchPath: string; cacheFolder: string }): Promise<string | undefined | null> {
  const paths = options.searchPath.split(':').filter(Boolean)
  for (const path of [...paths.map((folder) => join(folder, 'bwrap')), wheelPath(options.cacheFolder)]) {
    const version = await versionOf(path)
    if (version === undefined || !isNewEnough(version) || (await isSetuid(path))) continue
    return await tryOut({ path, version, source: 'path' }, await sandboxBase(undefined))
  }
  return null
}
