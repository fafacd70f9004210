/** The checks that only look at files: sizes, names, furniture, lockfile, words that do not belong in the repository. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from './check-tools.ts'
import { rooms } from './rooms.ts'
import { isAssembly, isProgram, projectFiles, root } from './sources.ts'

const linesAtMost = 500
const vagueNames = /(^|[/.-])(utils?|helpers?|common|manager|misc|types)([/.-]|$)/

/** Packages that would like to run a script when installed. None of them is allowed to; each works without. */
const packagesWithInstallScripts = [
  'node_modules/@swc/core',
  'node_modules/lmdb',
  'node_modules/msgpackr-extract',
  'node_modules/protobufjs',
]

/** Lockfile and documents name no place packages come from: that is the reader's own setting. */
const foreignWords = [
  /registry\.npmjs\.org|npmmirror|pypi\.org|pythonhosted\.org|deb\.debian\.org|proxy\.golang\.org/,
  new RegExp(String.raw`(^|[\s'"(=])/work/|/tmp/pl${'an'}\b`, 'm'),
]

/** `any` is for Kysely before a room narrows it to its tables, and nothing else. */
const untyped = /(?<!Kysely|Transaction)<any>|: any\b|\bas any\b|\bany\[\]/

export const fileChecks: Check[] = [
  {
    name: 'file sizes',
    async run() {
      const files = projectFiles().filter((path) => isProgram(path) || isAssembly(path) || path.endsWith('.py'))
      const problems = files
        .map((path) => ({ path, lines: readText(path).split('\n').length - 1 }))
        .filter(({ lines }) => lines > linesAtMost)
        .map(({ path, lines }) => `${path} has ${lines} lines; at most ${linesAtMost}`)
      return { problems, words: `${files.length} files` }
    },
  },
  {
    name: 'names',
    async run() {
      const files = projectFiles().filter(isProgram)
      const vague = files.filter((path) => vagueNames.test(path)).map((path) => `${path}: name it for what it holds`)
      const cased = files
        .filter((path) => !/^[a-z0-9./-]+$/.test(path))
        .map((path) => `${path}: lower-case words with dashes`)
      return { problems: [...vague, ...cased], words: `${files.length} files` }
    },
  },
  {
    name: 'no any',
    async run() {
      const files = projectFiles().filter((path) => isProgram(path) && path !== 'tools/check-files.ts')
      const problems = files.flatMap((path) =>
        readText(path)
          .split('\n')
          .flatMap((line, index) =>
            untyped.test(line.replace(/\/\/.*|^\s*\/?\*.*/, '')) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
          ),
      )
      return { problems, words: `${files.length} files` }
    },
  },
  {
    name: 'furniture',
    async run() {
      const folders = readdirSync(join(root, 'src'))
      const unknown = folders.filter((name) => !(rooms as readonly string[]).includes(name))
      const problems = unknown.map((name) => `src/${name} is no room of tools/rooms.ts`)
      for (const room of rooms.filter((name) => folders.includes(name))) {
        if (!existsSync(join(root, 'src', room, 'README.md'))) problems.push(`src/${room}/README.md is missing`)
        const door = join('src', room, 'index.ts')
        if (room === 'foundation' || room === 'shell') continue
        if (!existsSync(join(root, door))) problems.push(`${door} is missing`)
        else if (readText(door).split('\n').length > 61) problems.push(`${door} has more than 60 lines`)
      }
      return { problems, words: `${folders.length} rooms` }
    },
  },
  {
    name: 'lockfile',
    async run() {
      const { packages } = JSON.parse(readText('package-lock.json')) as {
        packages: Record<string, { hasInstallScript?: boolean; resolved?: string }>
      }
      const entries = Object.entries(packages)
      const scripts = entries.filter(([, entry]) => entry.hasInstallScript).map(([path]) => path)
      const added = scripts.filter((path) => !packagesWithInstallScripts.includes(path))
      const resolved = entries.filter(([, entry]) => entry.resolved?.startsWith('http')).map(([path]) => path)
      const manifest = JSON.parse(readText('package.json')) as Record<string, Record<string, string> | undefined>
      const loose = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
        Object.entries(manifest[kind] ?? {}).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)),
      )
      return {
        problems: [
          ...added.map(
            (path) => `${path} has an install script; find another package or say why in tools/check-files.ts`,
          ),
          ...resolved.map((path) => `${path} names where it was fetched from`),
          ...loose.map(([name, version]) => `${name}@${version} is not an exact version`),
        ],
        words: `${entries.length - 1} packages`,
      }
    },
  },
  {
    name: 'foreign words',
    async run() {
      const files = projectFiles().filter((path) =>
        /\.(ts|tsx|js|json|md|py|sh|yaml|yml|txt|toml)$|^cygnet$|^\.ci\//.test(path),
      )
      const problems = files
        .filter((path) => path !== 'tools/check-files.ts')
        .flatMap((path) => foreignWords.flatMap((words) => wordsIn(path, words)))
      return { problems, words: `${files.length} files` }
    },
  },
]

function wordsIn(path: string, words: RegExp): string[] {
  const match = words.exec(readText(path))
  return match === null ? [] : [`${path}: '${match[0].trim()}' does not belong here`]
}

function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
