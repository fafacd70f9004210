import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const source = join(import.meta.dirname, '..', '..')

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.includes('.test.'))
    .map((entry) => join(entry.parentPath, entry.name))
}

/** Folders with a catalogue of their own: pages of rooms, the frame, the shared parts. */
const catalogues = [
  ...readdirSync(source).map((room) => ({ folder: join(source, room, 'pages'), catalogue: 'messages.ts' })),
  { folder: join(source, 'shell', 'web'), catalogue: 'messages.ts' },
  { folder: join(source, 'foundation', 'browser'), catalogue: 'words.ts' },
].filter(({ folder, catalogue }) => {
  try {
    return readdirSync(folder).includes(catalogue)
  } catch {
    return false
  }
})

/** A long catalogue has parts, `messages-of-….ts` or `…-messages.ts`. */
function isCatalogue(file: string, folder: string, catalogue: string): boolean {
  const name = file.slice(folder.length + 1)
  return name === catalogue || /^(messages-of-[a-z]+|[a-z]+-messages)\.ts$/.test(name)
}

function keysOf(files: string[]): Set<string> {
  const found = files.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/^ +'([\w.-]+)':/gm)])
  return new Set(found.map((match) => match[1] ?? ''))
}

/** Keys in code: whole ones, and the fixed beginnings and ends of those put together (`state.${…}`). */
function usedKeys(files: string[]): { whole: Set<string>; patterns: RegExp[] } {
  const whole = new Set<string>()
  const patterns: RegExp[] = []
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    // Every string that looks like a key counts: keys are also chosen by `condition ? 'a.b' : 'a.c'`.
    for (const match of text.matchAll(/'([a-z][\w-]*(?:\.[\w-]+)+)'/gi)) whole.add(match[1] ?? '')
    for (const match of text.matchAll(/\bt\(\s*`([^`]+)`/g)) {
      const parts = (match[1] ?? '').split(/\$\{[^}]*\}/).map((part) => part.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&'))
      patterns.push(new RegExp(`^${parts.join('[\\w.-]+')}$`))
    }
  }
  return { whole, patterns }
}

describe('message catalogues', () => {
  test('every room with pages has one', () => {
    expect(catalogues.length).toBeGreaterThanOrEqual(8)
  })

  for (const { folder, catalogue } of catalogues) {
    const name = folder.slice(source.length + 1)
    test(`${name}: no key is missing, none is left over`, () => {
      const shared = name === join('foundation', 'browser') ? [join(source, 'foundation', 'browser-plot.tsx')] : []
      const all = [...filesBelow(folder), ...shared]
      const files = all.filter((file) => !isCatalogue(file, folder, catalogue))
      const known = keysOf(all.filter((file) => isCatalogue(file, folder, catalogue)))
      const used = usedKeys(files)
      const asked = files.flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/\bt\(\s*'([^']+)'/g)].map((match) => match[1] ?? ''),
      )
      expect(asked.filter((key) => !known.has(key))).toEqual([])
      expect(
        [...known].filter((key) => !used.whole.has(key) && !used.patterns.some((pattern) => pattern.test(key))),
      ).toEqual([])
    })

    test(`${name}: no words outside of the catalogue`, () => {
      const loose = filesBelow(folder)
        .filter((file) => file.endsWith('.tsx'))
        .flatMap((file) =>
          [
            ...readFileSync(file, 'utf8').matchAll(
              /(?:<\w[^<>]*|\))>\s*([A-Za-z][a-z]+(?: [a-z]+)*)[.!?]?\s*<\/|(?:label|title|placeholder|aria-label)="([^"]*[a-z]{3}[^"]*)"/g,
            ),
          ].map((match) => `${file}: ${match[1] ?? match[2]}`),
        )
      expect(loose).toEqual([])
    })
  }
})
