/** What is there before anybody has set anything: no secret that somebody else could know (T39), no door without a key. */
import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { startIdentity, type TestIdentity } from '../testing.ts'

/** Says where the chain of the audit and the clock stand; whoever reads them gains nothing. */
const notSecret = ['audit-head.json', 'time-floor.json']

async function secretsOf({ secretsDirectory }: TestIdentity): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const name of await readdir(secretsDirectory)) {
    const path = join(secretsDirectory, name)
    if ((await stat(path)).isFile()) files.set(name, await readFile(path))
  }
  return files
}

forEachDatabase('a fresh installation', (open, kind) => {
  test.runIf(kind === 'sqlite')(
    'has secrets of its own, for its owner only, and nobody who could sign in',
    async () => {
      const [one, other] = [await startIdentity(open), await startIdentity(open)]
      const [mine, theirs] = [await secretsOf(one), await secretsOf(other)]
      expect([...mine.keys()].toSorted()).toEqual([...theirs.keys()].toSorted())
      expect(mine.size).toBeGreaterThan(4)
      for (const [name, bytes] of mine) {
        expect((await stat(join(one.secretsDirectory, name))).mode & 0o777, name).toBe(0o600)
        if (!notSecret.includes(name)) expect(bytes.equals(theirs.get(name)!), name).toBe(false)
      }
      expect((await stat(one.secretsDirectory)).mode & 0o777).toBe(0o700)
      expect(one.identity.snapshotPart().subjects).toEqual({})
      expect(one.identity.snapshotPart().accessKeys).toEqual({})
      for (const name of ['admin', 'cygnet', 'root'])
        for (const password of ['admin'])
          await expect(
            one.withToken().signInWithPassword({ body: { name, password, code: '000000' } }),
          ).rejects.toMatchObject({ status: expect.any(Number) as number })
    },
  )
})
