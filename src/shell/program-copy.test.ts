import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLogger } from '../foundation/log.ts'
import { spawnDetached } from '../foundation/processes.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { homeAt } from './home.ts'
import { endProcess } from './process-records.ts'
import { copyProgram, isComplete, removeOldCopies } from './program-copy.ts'
import { arrivedAt, firstRelease, writeRelease } from './release.ts'

test('copies go when nobody needs them: not the present one, the one before, nor what a job or a process uses', async () => {
  await using folder = await temporaryDirectory()
  const home = homeAt(folder.path)
  mkdirSync(home.run, { recursive: true })
  for (const version of ['unused', 'before', 'present', 'of-a-job', 'of-a-done-job', 'of-a-process', 'young'])
    mkdirSync(join(home.program, version), { recursive: true })
  for (const [job, version] of [
    ['one.1', 'of-a-job'],
    ['two.1', 'of-a-done-job'],
  ] as const) {
    mkdirSync(join(home.jobs, job), { recursive: true })
    const mounts = [{ source: `${home.program}/${version}/python/src`, target: '/program' }]
    writeFileSync(join(home.jobs, job, 'spec.json'), JSON.stringify({ mounts }))
  }
  writeFileSync(join(home.jobs, 'two.1', 'done.json'), '{}')
  const arrival = { how: 'upgrade' as const, nowMs: 2, migrated: null }
  await writeRelease(home, arrivedAt(firstRelease('before', 1), 'present', arrival))
  const user = await spawnDetached(['/bin/sh', '-c', 'sleep 300; :', join(home.program, 'of-a-process', 'shim.py')])
  for (const version of readdirSync(home.program))
    if (version !== 'young' && version !== 'current') utimesSync(join(home.program, version), 1_000_000, 1_000_000)
  await removeOldCopies(home, silentLogger())
  expect(readdirSync(home.program).toSorted()).toEqual([
    'before',
    'current',
    'of-a-job',
    'of-a-process',
    'present',
    'young',
  ])
  await endProcess(user)
})

/** A checkout with one package. */
function smallCheckout(folder: string, version: string): string {
  const files = {
    'package.json': JSON.stringify({ version }),
    'package-lock.json': JSON.stringify({ packages: { '': {}, 'node_modules/one': { integrity: 'sum' } } }),
    LICENSE: '',
    'packaging/cygnet.service': '',
    'src/shell/program-copy.ts': 'the rules',
    'python/client.py': '',
    'build/web/index.html': '',
    'node_modules/one/lib/index.js': 'one',
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

test('a torn copy is made again, and packages of the present version are stored once', async () => {
  await using folder = await temporaryDirectory()
  const home = homeAt(join(folder.path, 'home'))
  mkdirSync(home.run, { recursive: true })
  mkdirSync(home.program)
  const first = await copyProgram(smallCheckout(join(folder.path, 'first'), '1.0.0'), home.folder)
  expect(isComplete(first.folder)).toBe(true)
  const module = 'node_modules/one/lib/index.js'

  // As after a power cut without the order of writes kept: the marker is not there, and files are empty.
  rmSync(join(first.folder, '.complete'))
  writeFileSync(join(first.folder, module), '')
  await copyProgram(join(folder.path, 'first'), home.folder)
  expect(readFileSync(join(first.folder, module), 'utf8')).toBe('one')
  expect(isComplete(first.folder)).toBe(true)

  await writeRelease(home, firstRelease(first.version, 1))
  const second = await copyProgram(smallCheckout(join(folder.path, 'second'), '1.0.1'), home.folder)
  expect(statSync(join(second.folder, module)).ino).toBe(statSync(join(first.folder, module)).ino)
  expect(statSync(join(second.folder, 'LICENSE')).ino).not.toBe(statSync(join(first.folder, 'LICENSE')).ino)

  // Not from a torn one.
  rmSync(join(first.folder, '.complete'))
  const third = await copyProgram(smallCheckout(join(folder.path, 'third'), '1.0.2'), home.folder)
  expect(statSync(join(third.folder, module)).ino).not.toBe(statSync(join(first.folder, module)).ino)
  expect(readdirSync(home.program).toSorted()).toEqual(
    ['current', first.version, second.version, third.version].toSorted(),
  )
})
