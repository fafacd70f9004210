import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Fault } from './errors.ts'
import { createFailpoints, createFileFailpoints, parseFailpoints } from './failpoints.ts'
import { temporaryDirectory } from './testing.ts'

test('only the named passage fires', async () => {
  const pass = createFailpoints(parseFailpoints('a.b=error@2nd, c.d=delay:1'))
  await pass('a.b')
  await pass('other')
  await expect(pass('a.b')).rejects.toThrow(Fault)
  await pass('a.b')
  await pass('c.d')
})

test('a failpoint armed by a file fires once for all who pass', async () => {
  const { path: folder } = await temporaryDirectory()
  const path = join(folder, 'armed')
  const pass = createFileFailpoints(path)
  await pass('a.b')
  writeFileSync(path, 'a.b=error')
  await pass('other')
  expect(existsSync(path)).toBe(true)
  const ends = await Promise.allSettled([pass('a.b'), createFileFailpoints(path)('a.b')])
  expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  expect(readdirSync(folder)).toEqual([`armed.fired.${process.pid}`])
  expect(readFileSync(join(folder, `armed.fired.${process.pid}`), 'utf8')).toBe('a.b=error')
})

test('what is no failpoint is refused', () => {
  expect(() => parseFailpoints('a.b=explode')).toThrow(Fault)
})
