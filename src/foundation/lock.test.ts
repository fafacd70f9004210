import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { acquireLock, lockHolder } from './lock.ts'
import { isSameProcess, killGroup, processIdentity, runCommand, spawnDetached } from './processes.ts'
import { rounds, temporaryDirectory } from './testing.ts'

test('a lock is held until it is released, by one only, the same process included', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'lock')
  const lock = await acquireLock(path)
  await expect(acquireLock(path)).rejects.toMatchObject({ code: 'foundation.locked', extra: { holder: process.pid } })
  expect(await lockHolder(path)).toMatchObject({ pid: process.pid })
  await lock.release()
  expect(await lockHolder(path)).toBeUndefined()
  await (await acquireLock(path)).release()
  expect(await readdir(folder.path)).toEqual([])
})

test('a lock of a dead process, of a reused pid, of another boot, or torn, is no lock', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'lock')
  const own = processIdentity(process.pid)!
  const child = spawn('true')
  await once(child, 'exit')
  const stale = [
    JSON.stringify({ ...own, pid: child.pid }),
    JSON.stringify({ ...own, startTicks: own.startTicks + 1 }),
    JSON.stringify({ ...own, bootId: 'another boot' }),
    '{"pid":',
    '',
  ]
  for (const content of stale) {
    await writeFile(path, content)
    await (await acquireLock(path)).release()
  }
})

test('many who find the same dead holder: one gets the lock', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'lock')
  for (let round = 0; round < rounds(20); round++) {
    await writeFile(path, JSON.stringify({ pid: 1, startTicks: 1, bootId: `boot ${round}` }))
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLock(path)))
    const got = tries.filter((result) => result.status === 'fulfilled')
    expect(got).toHaveLength(1)
    for (const { value } of got) await value.release()
  }
})

test('a lock that somebody else has taken over is not released by the first one', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'lock')
  const lock = await acquireLock(path)
  await writeFile(path, 'of somebody else')
  await lock.release()
  expect(await readFile(path, 'utf8')).toBe('of somebody else')
})

test('a process is known by more than its pid; its group ends with it', async () => {
  await using folder = await temporaryDirectory()
  const logPath = join(folder.path, 'log')
  const identity = await spawnDetached(['sh', '-c', 'echo hello; sleep 300 & wait'], { logPath })
  expect(isSameProcess(identity)).toBe(true)
  expect(isSameProcess({ ...identity, startTicks: identity.startTicks + 1 })).toBe(false)
  await expect.poll(() => readFile(logPath, 'utf8')).toBe('hello\n')
  expect(killGroup({ ...identity, bootId: 'another' })).toBe(false)
  expect(killGroup(identity)).toBe(true)
  await expect.poll(() => isSameProcess(identity)).toBe(false)
  expect(killGroup(identity)).toBe(false)
  await expect(spawnDetached(['/no/such/program'])).rejects.toMatchObject({ code: 'foundation.command_not_found' })
})

test('a command gives its output and code, and is stopped with its children at the deadline', async () => {
  expect(await runCommand(['sh', '-c', 'cat; echo oops >&2; exit 3'], { input: 'in' })).toEqual({
    code: 3,
    stdout: 'in',
    stderr: 'oops\n',
  })
  expect(await runCommand(['sh', '-c', 'kill -9 $$'])).toMatchObject({ code: 137 })
  expect((await runCommand(['sh', '-c', 'yes | head -c 5000'], { maxOutputBytes: 100 })).stdout).toHaveLength(100)
  await expect(runCommand(['sh', '-c', 'sleep 300 & wait'], { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'foundation.command_timed_out',
  })
  await expect(runCommand(['no-such-program-here'])).rejects.toMatchObject({ code: 'foundation.command_not_found' })
  const stop = new AbortController()
  const running = runCommand(['sleep', '300'], { signal: stop.signal })
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  await runCommand(['true'], { input: 'x'.repeat(1_000_000) })
})
