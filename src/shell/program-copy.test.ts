import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLogger } from '../foundation/log.ts'
import { spawnDetached } from '../foundation/processes.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { homeAt } from './home.ts'
import { endProcess } from './process-records.ts'
import { removeOldCopies } from './program-copy.ts'
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
