/** What belongs to the project: every file that is not made by a command. */
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

export const root = join(import.meta.dirname, '..')

const made = new Set(['node_modules', '.git', 'build', 'out', '.cache', '__pycache__', '.pytest_cache'])

export function projectFiles(folder: string = root): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return made.has(entry.name) || entry.name.endsWith('.egg-info') ? [] : projectFiles(path)
    return entry.isFile() ? [relative(root, path)] : []
  })
}

export function isProgram(path: string): boolean {
  return /^(src|e2e|bench|tools|bin)\/.*\.(ts|tsx|js)$/.test(path) && !isAssembly(path)
}

/** AssemblyScript: has the suffix of TypeScript and is none; compiled to a committed .wasm that a test rebuilds. */
export function isAssembly(path: string): boolean {
  return /^src\/.*\/assembly\/[^/]+\.ts$/.test(path)
}
