/** A folder or file of this machine as the files of a script campaign. */
import { lstat, readFile, readdir } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { checkoutCommit } from '../foundation/git-commit.ts'
import { runCommand } from '../foundation/processes.ts'
import { mostScriptBytes, mostScriptFiles } from './campaign-contract.ts'
import { reconstructionFaults } from './errors.ts'

export interface CollectedScript {
  files: { path: string; contentBase64: string; executable: boolean }[]
  /** Of the folder, when nothing in it differs from it. */
  gitCommit: string | null
  /** Left out: links, hidden files, what is not a file. */
  leftOut: string[]
}

/**
 * Inside a git checkout what git knows or would know (ignored files stay here), else everything but hidden files and
 * `__pycache__`. Links are not followed. Throws `badScriptFile` and `scriptTooLarge`.
 */
export async function collectScript(path: string): Promise<CollectedScript> {
  const facts = await lstat(path).catch(() => undefined)
  if (facts?.isFile()) {
    const files = [await scriptFile(path, basename(path))]
    return { files, gitCommit: await commitOfFile(path), leftOut: [] }
  }
  if (!facts?.isDirectory()) {
    throw reconstructionFaults.badScriptFile(`${path} is neither a file nor a folder.`, {
      hint: 'Give the folder with your script, or the script itself.',
    })
  }
  const known = await git(path, ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', '.'])
  const names = known === undefined ? await filesBelow(path, path) : known.split('\0').filter((name) => name !== '')
  const files: CollectedScript['files'] = []
  const leftOut: string[] = []
  let bytes = 0
  for (const name of [...new Set(names)].toSorted()) {
    const isHidden = name.split('/').some((part) => part.startsWith('.'))
    const one = await lstat(join(path, name)).catch(() => undefined)
    if (isHidden || !one?.isFile()) {
      if (one !== undefined) leftOut.push(name)
      continue
    }
    bytes += one.size
    if (bytes > mostScriptBytes || files.length === mostScriptFiles) {
      throw reconstructionFaults.scriptTooLarge(
        `${path} holds more than ${mostScriptBytes / 2 ** 20} MiB or ${mostScriptFiles} files.`,
        { hint: 'Keep the script in a folder of its own; data belongs into a bucket.' },
      )
    }
    files.push(await scriptFile(join(path, name), name))
  }
  if (files.length === 0) throw reconstructionFaults.badScriptFile(`There is no file in ${path}.`)
  return { files, gitCommit: await checkoutCommit(path), leftOut }
}

async function scriptFile(path: string, name: string) {
  const { mode } = await lstat(path)
  return { path: name, contentBase64: (await readFile(path)).toString('base64'), executable: (mode & 0o100) !== 0 }
}

async function commitOfFile(path: string): Promise<string | null> {
  const folder = dirname(path)
  const isKnown = (await git(folder, ['ls-files', '--error-unmatch', '--', basename(path)])) !== undefined
  const changed = await git(folder, ['status', '--porcelain', '--', basename(path)])
  if (!isKnown || changed?.trim() !== '') return null
  return (await git(folder, ['rev-parse', 'HEAD']))?.trim() ?? null
}

async function git(folder: string, argv: string[]): Promise<string | undefined> {
  const { code, stdout } = await runCommand(['git', '-C', folder, ...argv], { timeoutMs: 10_000 }).catch(() => ({
    code: 1,
    stdout: '',
  }))
  return code === 0 ? stdout : undefined
}

async function filesBelow(top: string, folder: string): Promise<string[]> {
  const names: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name === '__pycache__' || entry.name.startsWith('.')) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) names.push(...(await filesBelow(top, path)))
    else names.push(relative(top, path))
    if (names.length > 10 * mostScriptFiles) break
  }
  return names
}
