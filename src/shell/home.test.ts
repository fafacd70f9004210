import { spawnSync } from 'node:child_process'
import { chownSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { dataGroup, homeAt, prepareHome, serviceUid } from './home.ts'

const isRoot = process.getuid?.() === 0
const refused = expect.objectContaining({ code: 'shell.foreign_folder' }) as object
const modeOf = (path: string) => (lstatSync(path).mode & 0o7777).toString(8)

test('a home is made, and made again, with what each may enter', async () => {
  const home = homeAt(join((await temporaryDirectory()).path, 'home'))
  for (let round = 0; round < 2; round += 1) {
    await prepareHome(home)
    expect([home.folder, home.secrets, home.run, home.logs, home.data].map(modeOf)).toEqual([
      '711',
      '700',
      '711',
      '700',
      isRoot ? '710' : '700',
    ])
  }
  if (!isRoot) return
  expect(lstatSync(home.data).gid).toBe(dataGroup)
  expect(lstatSync(home.gatewaySockets).uid).toBe(serviceUid)
  expect(lstatSync(home.health).uid).toBe(serviceUid)
  expect(modeOf(home.health)).toBe('700')
})

test('what is no folder stands in the way', async () => {
  for (const make of [
    (path: string) => writeFileSync(path, ''),
    (path: string) => void spawnSync('mkfifo', [path]),
    (path: string) => symlinkSync('/nowhere', path),
  ]) {
    const home = homeAt(join((await temporaryDirectory()).path, 'home'))
    mkdirSync(home.folder)
    make(home.run)
    await expect(prepareHome(home)).rejects.toEqual(refused)
  }
})

test.skipIf(!isRoot)(
  `a folder or link that somebody else has put there beforehand is refused${isRoot ? '' : ' (SKIPPED: not run as root)'}`,
  async () => {
    const person = 300_001
    for (const name of [
      '',
      'data',
      'secrets',
      'run',
      'run/gateway',
      'run/health',
      'jobs',
      'homes',
      'logs',
      'program',
      'database',
    ]) {
      const { path } = await temporaryDirectory()
      const home = homeAt(join(path, 'home'))
      mkdirSync(join(home.folder, name), { recursive: true })
      chownSync(join(home.folder, name), person, person)
      await expect(prepareHome(home)).rejects.toEqual(refused)
      expect(lstatSync(join(home.folder, name)).uid).toBe(person)
    }
    // A link to a folder of root's, made by somebody else: following it would open up what is behind it.
    const { path } = await temporaryDirectory()
    const home = homeAt(join(path, 'home'))
    mkdirSync(home.folder)
    mkdirSync(join(path, 'private'), { mode: 0o700 })
    spawnSync('ln', ['-s', join(path, 'private'), home.data])
    spawnSync('chown', ['-h', `${person}`, home.data])
    await expect(prepareHome(home)).rejects.toEqual(refused)
    expect(modeOf(join(path, 'private'))).toBe('700')
    expect(readdirSync(join(path, 'private'))).toEqual([])
  },
)

test('a folder on another disk may be linked by who starts Cygnet', async () => {
  const { path } = await temporaryDirectory()
  const home = homeAt(join(path, 'home'))
  mkdirSync(home.folder)
  mkdirSync(join(path, 'disk'))
  symlinkSync(join(path, 'disk'), home.data)
  await prepareHome(home)
  expect(lstatSync(home.data).isSymbolicLink()).toBe(true)
})
