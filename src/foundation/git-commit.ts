/** Which commit of a checkout something was made from, where that can be known. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from './processes.ts'

/** Beside the program where it was copied from a checkout: 40 hex digits, or empty when the checkout was changed. */
export const commitFileName = 'git-commit'
const commitPattern = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/

/** Null when the folder is neither such a copy nor an unchanged checkout. */
export async function programCommit(folder: string): Promise<string | null> {
  const kept = await readFile(join(folder, commitFileName), 'utf8').catch(() => undefined)
  if (kept !== undefined) return commitPattern.test(kept.trim()) ? kept.trim() : null
  return await checkoutCommit(folder)
}

/** The commit of a checkout in which no tracked file below the folder differs from it; null otherwise or without git. */
export async function checkoutCommit(folder: string): Promise<string | null> {
  const git = (...argv: string[]) =>
    runCommand(['git', '-C', folder, ...argv], { timeoutMs: 10_000 }).catch(() => ({ code: 1, stdout: '' }))
  const head = await git('rev-parse', 'HEAD')
  if (head.code !== 0 || !commitPattern.test(head.stdout.trim())) return null
  const changed = await git('status', '--porcelain', '--untracked-files=all', '--', '.')
  return changed.code === 0 && changed.stdout.trim() === '' ? head.stdout.trim() : null
}
