import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase, type AnyTransaction, type OpenedDatabase } from '../foundation/database.ts'
import { forEachDatabase, temporaryDirectory } from '../foundation/testing.ts'
import type { Job } from './contract.ts'
import { readClaim } from './job-folder.ts'
import { commandSpec, openTestRoom, shell, type TestRoom, type TestRoomOptions } from './testing.ts'

interface OpenRoom extends TestRoom {
  folder: string
}

async function openRoom(
  options: TestRoomOptions = {},
  given: { database?: OpenedDatabase; folder?: string; start?: boolean } = {},
): Promise<OpenRoom> {
  const folder = given.folder ?? (await temporaryDirectory()).path
  const database = given.database ?? (await openDatabase({ url: `sqlite:${join(folder, 'test.sqlite')}` }))
  const room = await openTestRoom(database, folder, options)
  onTestFinished(async () => {
    await endEverything(room)
    await room.compute.close()
    if (given.database === undefined) await database.close()
  })
  if (given.start !== false) await room.compute.start()
  return { ...room, folder }
}

async function endEverything(room: TestRoom): Promise<void> {
  const rows = await room.database.kysely
    .selectFrom('compute_job')
    .select('id')
    .where('state', 'not in', ['succeeded', 'failed', 'cancelled'])
    .execute()
  for (const { id } of rows) await room.compute.cancel(id)
  for (const { id } of rows) await room.compute.ended(id, AbortSignal.timeout(20_000)).catch(() => undefined)
}

async function logOf(room: TestRoom, job: Job, attempt = job.attempt): Promise<string> {
  return await readFile(join(room.compute.folderOf(job.id, attempt), 'log'), 'utf8')
}

async function until<Result>(what: () => Promise<Result | undefined> | Result | undefined): Promise<Result> {
  for (;;) {
    const result = await what()
    if (result !== undefined) return result
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function running(room: TestRoom, id: string): Promise<Job> {
  return await until(async () => {
    const job = await room.compute.show(id)
    return job.state === 'running' ? job : undefined
  })
}

/** Processes on this machine that carry the attempt's mark or its argument. */
async function alive(mark: string): Promise<number[]> {
  const pids: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const text = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')
    if (text.includes(mark)) pids.push(Number(name))
  }
  return pids
}

async function usageOf(room: TestRoom, id: string) {
  return await room.database.kysely
    .selectFrom('usage_interval')
    .selectAll()
    .where('job_id', '=', id)
    .orderBy('start_ms')
    .execute()
}

forEachDatabase('a job', (open) => {
  test('runs in the sandbox, is measured, leaves its outputs and its usage', async () => {
    const room = await openRoom({}, { database: await open() })
    const { id } = await room.submit(
      shell(
        'echo hello; id -u; echo result > /out/r.txt; mkdir /out/sub; echo deep > /out/sub/d; ln -s /etc/shadow /out/link',
      ),
    )
    const job = await room.compute.ended(id)
    expect(job).toMatchObject({ state: 'done', exitCode: 0, attempt: 1 })
    expect(job.reason).toBe("not kept of /out: 1 that are no plain files ('link')")
    expect(job.outputs.map((output) => output.name)).toEqual(['r.txt', 'sub/d'])
    expect(job.used!.wallSeconds).toBeGreaterThan(0)
    expect(await logOf(room, job)).toMatch(/^hello\n\d+\ncygnet: not kept of \/out: /)
    const usage = await usageOf(room, id)
    expect(usage.map((row) => [row.resource, Number(row.allocated), row.outcome])).toEqual(
      expect.arrayContaining([
        ['cpu', 500, 'succeeded'],
        ['memory', 256, 'succeeded'],
      ]),
    )
    for (const row of usage) expect(Number(row.start_ms)).toBeLessThan(Number(row.end_ms))
  })

  test('is accepted once per key, and refuses the key for other work', async () => {
    const room = await openRoom({}, { database: await open(), start: false })
    const [one, two] = [await room.submit({ idempotencyKey: 'k' }), await room.submit({ idempotencyKey: 'k' })]
    expect(two.id).toBe(one.id)
    await expect(room.submit({ ...shell('exit 1'), idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'compute.key_reused',
    })
    expect((await room.submit({ idempotencyKey: 'k', ownerId: 'person-b' })).id).not.toBe(one.id)
    expect((await room.submit({})).id).not.toBe((await room.submit({})).id)
  })

  test('has its effect committed once, in the transaction that ends it, whatever fails', async () => {
    const database = await open()
    await database.kysely.schema
      .createTable('effect')
      .addColumn('job_id', 'text')
      .addColumn('published', 'text')
      .execute()
    const room = await openRoom({}, { database, start: false })
    let publishes = 0
    let commits = 0
    room.compute.registerKind('effect', {
      async prepare() {
        return { argv: ['sh', '-c', 'echo x > /out/x'], mounts: [], environment: {}, network: 'none', files: [] }
      },
      async publish(job) {
        publishes += 1
        if (publishes === 1) throw new Error('the store is away')
        return `copied for ${job.id}`
      },
      async commit(trx: AnyTransaction, job, _done, published) {
        commits += 1
        await trx.insertInto('effect').values({ job_id: job.id, published }).execute()
        if (commits === 1) throw new Error('rolled back')
      },
    })
    await room.compute.start()
    const { id } = await room.submit({ kind: 'effect', payload: {} })
    expect(await room.compute.ended(id)).toMatchObject({ state: 'done', attempt: 1 })
    expect({ publishes, commits }).toEqual({ publishes: 3, commits: 2 })
    expect(await database.kysely.selectFrom('effect').selectAll().execute()).toEqual([
      { job_id: id, published: `copied for ${id}` },
    ])
  })

  test('ignores a done marker of an attempt that is not the current one', async () => {
    const database = await open()
    await database.kysely.schema.createTable('effect').addColumn('attempt', 'integer').execute()
    const room = await openRoom({}, { database, start: false })
    room.compute.registerKind('effect', {
      async prepare() {
        return { argv: ['sh', '-c', 'sleep 0.5'], mounts: [], environment: {}, network: 'none', files: [] }
      },
      async commit(trx: AnyTransaction, job) {
        await trx.insertInto('effect').values({ attempt: job.attempt }).execute()
      },
    })
    await room.compute.start()
    const { id } = await room.submit({ kind: 'effect', payload: {} })
    await running(room, id)
    // Attempt 2 was begun elsewhere: attempt 1 comes home late.
    await database.kysely.updateTable('compute_job').set({ attempt: 2 }).where('id', '=', id).execute()
    await until(async () => {
      const row = await database.kysely
        .selectFrom('compute_attempt')
        .select('state')
        .where('job_id', '=', id)
        .executeTakeFirstOrThrow()
      return row.state === 'ended' ? true : undefined
    })
    expect(await database.kysely.selectFrom('effect').selectAll().execute()).toEqual([])
    expect((await room.compute.show(id)).state).toBe('running')
    await database.kysely.updateTable('compute_job').set({ state: 'failed' }).where('id', '=', id).execute()
  })
})

describe('the end of a job', () => {
  test('an exit code is a reason', async () => {
    const room = await openRoom()
    const { id } = await room.submit(shell('echo oh; exit 7'))
    expect(await room.compute.ended(id)).toMatchObject({
      state: 'failed',
      exitCode: 7,
      attempt: 1,
      reason: 'it exited with code 7',
    })
  })

  test('an exit code that was listed is tried again, up to the maximum', async () => {
    const room = await openRoom()
    const { id } = await room.submit({ ...shell('exit 75'), retry: { exitCodes: [75], maximum: 3 } })
    expect(await room.compute.ended(id)).toMatchObject({ state: 'failed', attempt: 3 })
  })

  test('a program that is not there says so in the log', async () => {
    const room = await openRoom()
    const { id } = await room.submit(commandSpec(['no-such-program']))
    const job = await room.compute.ended(id)
    expect(job).toMatchObject({ state: 'failed', exitCode: 127 })
    expect(await logOf(room, job)).toContain('no-such-program')
  })

  test('walltime ends it, politely first', async () => {
    const room = await openRoom()
    const { id } = await room.submit({
      ...shell('trap "echo asked; exit 0" TERM; echo begun; while :; do sleep 0.1; done'),
      request: { cpuMilli: 500, memoryMiB: 256, walltimeMs: 1500 },
    })
    const job = await room.compute.ended(id)
    expect(job).toMatchObject({ state: 'failed', reason: 'it ran longer than the 2 s it asked for' })
    expect(await logOf(room, job)).toBe('begun\nasked\n')
  })

  test('memory over the limit ends it with that reason', async () => {
    const room = await openRoom()
    const { limits } = await room.compute.sandboxReport()
    const { id } = await room.submit({
      ...commandSpec([
        '/usr/bin/python3',
        '-c',
        'import time\ndata=[]\nfor i in range(400):\n  data.append(bytearray(1<<20)); time.sleep(0.002)\ntime.sleep(5)',
      ]),
      request: { cpuMilli: 500, memoryMiB: 64, walltimeMs: 30_000 },
    })
    expect(await room.compute.ended(id), `with ${limits}`).toMatchObject({
      state: 'failed',
      reason: 'it used more than the 64 MiB of memory it asked for',
    })
  })

  test('a mount that is not there is a reason, not a retry', async () => {
    const room = await openRoom({
      workspaceOf: () =>
        Promise.resolve({
          personName: 'alice',
          uid: 300_001,
          groups: [],
          buckets: [{ name: 'gone', path: '/nowhere/at/all', mode: 'ro' }],
        }),
    })
    const { id } = await room.submit()
    const job = await room.compute.ended(id)
    expect(job).toMatchObject({ state: 'failed', attempt: 1 })
    expect(job.reason).toContain('/nowhere/at/all')
  })

  test('a job larger than the machine is refused at once', async () => {
    const room = await openRoom({}, { start: false })
    await expect(room.submit({ request: { cpuMilli: 8000, memoryMiB: 64, walltimeMs: 1000 } })).rejects.toMatchObject({
      code: 'compute.too_large',
    })
  })
})

describe('cancel', () => {
  test('a waiting job is cancelled without having been', async () => {
    const room = await openRoom({}, { start: false })
    const { id } = await room.submit()
    expect(await room.compute.cancel(id)).toMatchObject({
      state: 'cancelled',
      attempt: 0,
      reason: 'cancelled before it began',
    })
  })

  test('says cancelled when nothing of a hostile tree is alive', async () => {
    const room = await openRoom()
    const mark = `hostile-${Math.random().toString(36).slice(2)}`
    const script = `trap "" TERM HUP INT; for i in 1 2 3; do (setsid bash -c 'trap "" TERM; exec -a ${mark} sleep 1000' &) ; done; (bash -c 'exec -a ${mark} sleep 1000' &); echo up; exec -a ${mark} sleep 1000`
    const { id } = await room.submit(commandSpec(['bash', '-c', script]))
    const job = await running(room, id)
    await until(async () =>
      (await logOf(room, job).catch(() => '')) === 'up\n' && (await alive(mark)).length >= 5 ? true : undefined,
    )
    expect(await room.compute.cancel(id)).toMatchObject({ cancelRequested: true })
    expect(await room.compute.ended(id)).toMatchObject({ state: 'cancelled', reason: 'cancelled on request' })
    expect(await alive(mark)).toEqual([])
    expect(await alive(join(room.home, 'jobs'))).toEqual([])
  })

  test('cancelling what has ended changes nothing', async () => {
    const room = await openRoom()
    const { id } = await room.submit()
    await room.compute.ended(id)
    expect(await room.compute.cancel(id)).toMatchObject({ state: 'done' })
  })
})

describe('kill -9', () => {
  test('of the shim: the payload dies with it, is proved dead, and the next attempt runs', async () => {
    const room = await openRoom()
    const mark = `orphan-${Math.random().toString(36).slice(2)}`
    const { id } = await room.submit(
      commandSpec([
        'bash',
        '-c',
        `if mkdir /data/demo-work/first; then exec -a ${mark} sleep 1000; else echo second; fi`,
      ]),
    )
    const job = await running(room, id)
    await until(() => (existsSync(join(room.folder, 'data', 'demo-work', 'first')) ? true : undefined))
    const shim = (await readClaim(room.compute.folderOf(id, job.attempt)))!
    process.kill(shim.pid, 'SIGKILL')
    const end = await room.compute.ended(id)
    expect(end).toMatchObject({ state: 'done', attempt: 2 })
    expect(await alive(mark)).toEqual([])
    expect(await logOf(room, end)).toMatch(/File exists\nsecond\n$/)
    const attempts = await room.database.kysely
      .selectFrom('compute_attempt')
      .select(['number', 'outcome'])
      .where('job_id', '=', id)
      .orderBy('number')
      .execute()
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['lost', 'succeeded'])
  })

  for (const [point, outcomes] of [
    ['shim.before-claim', ['lost', 'succeeded']],
    ['shim.after-claim', ['lost', 'succeeded']],
    ['shim.after-launch', ['lost', 'succeeded']],
    ['shim.after-payload', ['lost', 'succeeded']],
    ['shim.before-done', ['lost', 'succeeded']],
    ['shim.after-done', ['succeeded']],
  ] as const) {
    test(`of the shim at ${point}: one success`, async () => {
      const folder = await temporaryDirectory()
      // Only the first shim meets it: the file is gone for the second.
      const shimEnvironment = { CYGNET_TEST: '1', CYGNET_FAILPOINTS: `${point}=kill` }
      const room = await openRoom({ shimEnvironment }, { folder: folder.path })
      room.compute.onChange(() => {
        void room.database.kysely
          .selectFrom('compute_attempt')
          .select('number')
          .where('state', '=', 'ended')
          .execute()
          .then((rows) => {
            if (rows.length > 0) delete (shimEnvironment as Record<string, string>).CYGNET_FAILPOINTS
          })
      })
      const { id } = await room.submit(shell('echo once > /out/x'))
      const job = await room.compute.ended(id)
      expect(job).toMatchObject({ state: 'done' })
      const attempts = await room.database.kysely
        .selectFrom('compute_attempt')
        .select(['number', 'outcome'])
        .where('job_id', '=', id)
        .orderBy('number')
        .execute()
      const seen = attempts.map(({ outcome }) => (outcome === 'not-started' ? 'lost' : outcome))
      expect(new Set(seen)).toEqual(new Set(outcomes))
      expect(seen.filter((outcome) => outcome === 'succeeded')).toHaveLength(1)
    })
  }

  test('of control: jobs go on, end by themselves and are found again', async () => {
    const folder = await temporaryDirectory()
    const control = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `
      const { openDatabase } = await import(${JSON.stringify(join(import.meta.dirname, '../foundation/database.ts'))})
      const { openTestRoom, shell } = await import(${JSON.stringify(join(import.meta.dirname, 'testing.ts'))})
      const database = await openDatabase({ url: 'sqlite:${join(folder.path, 'test.sqlite')}' })
      const room = await openTestRoom(database, ${JSON.stringify(folder.path)})
      await room.compute.start()
      const ids = []
      ids.push((await room.submit(shell('echo quick'))).id)
      ids.push((await room.submit(shell('sleep 2; echo slow > /out/slow'))).id)
      for (let k = 0; k < 12; k++) ids.push((await room.submit(shell('echo ' + k))).id)
      while ((await room.compute.show(ids[1])).state !== 'running') await new Promise((done) => setTimeout(done, 10))
      process.stdout.write(JSON.stringify(ids) + '\\n')
      setInterval(() => {}, 1000)
    `,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = (await once(control.stdout, 'data')) as [Buffer]
    const ids = JSON.parse(line.toString()) as string[]
    control.kill('SIGKILL')
    await once(control, 'exit')
    const room = await openRoom({}, { folder: folder.path })
    const jobs = await Promise.all(ids.map((id) => room.compute.ended(id)))
    expect(jobs.map((job) => job.state)).toEqual(ids.map(() => 'done'))
    expect(jobs[1]).toMatchObject({ attempt: 1, outputs: [expect.objectContaining({ name: 'slow' })] })
    // Every job succeeded in exactly one attempt, and no two intervals of one attempt overlap.
    const won = await room.database.kysely
      .selectFrom('compute_attempt')
      .select('job_id')
      .where('outcome', '=', 'succeeded')
      .execute()
    expect(won.map((row) => row.job_id as string).sort()).toEqual([...ids].sort())
  })

  test('a machine that was restarted lost every attempt', async () => {
    const room = await openRoom({}, { start: false })
    const { id } = await room.submit(shell('echo again'))
    // What a control leaves that started an attempt before the power went.
    await room.database.kysely
      .updateTable('compute_job')
      .set({ state: 'running', attempt: 1 })
      .where('id', '=', id)
      .execute()
    await room.database.kysely
      .insertInto('compute_attempt')
      .values({
        job_id: id,
        number: 1,
        state: 'running',
        created_ms: Date.now() - 60_000,
        claimed_ms: Date.now() - 60_000,
        recorded_until_ms: Date.now() - 60_000,
      })
      .execute()
    const folder = room.compute.folderOf(id, 1)
    await mkdir(join(folder, 'claim'), { recursive: true })
    await writeFile(
      join(folder, 'claim', 'shim.json'),
      JSON.stringify({ pid: process.pid, startTicks: 1, bootId: 'another-boot', claimedMs: 1 }),
    )
    await writeFile(join(folder, 'spec.json'), JSON.stringify({ attempt: `${id}.1`, cgroup: null, sandboxed: true }))
    await room.compute.start()
    expect(await room.compute.ended(id)).toMatchObject({ state: 'done', attempt: 2 })
  })

  test('a lost session is not started again in silence', async () => {
    const room = await openRoom()
    const { id } = await room.submit({ ...shell('sleep 1000'), class: 'interactive', retry: { infrastructure: 0 } })
    const job = await running(room, id)
    process.kill((await readClaim(room.compute.folderOf(id, job.attempt)))!.pid, 'SIGKILL')
    expect(await room.compute.ended(id)).toMatchObject({
      state: 'failed',
      attempt: 1,
      reason: 'the process that watched over it was killed',
    })
  })
})

describe('without a sandbox', () => {
  test('nobody but the owner runs anything', async () => {
    const room = await openRoom({
      config: { interactiveMemoryMiB: 0, sandbox: 'off' },
      trustedOwnerIds: () => ['person-b'],
    })
    const { id } = await room.submit()
    const job = await room.compute.ended(id)
    expect(job.state).toBe('failed')
    expect(job.reason).toMatch(/^Without a sandbox only the person who started Cygnet may run code here/)
    await expect(room.compute.requireSandbox('person-a')).rejects.toMatchObject({
      code: 'compute.sandbox_missing',
      status: 503,
    })
  })

  test("the owner's work sees the same paths, and its runaways are found", async () => {
    const room = await openRoom({
      config: { interactiveMemoryMiB: 0, sandbox: 'off' },
      trustedOwnerIds: () => ['person-a'],
    })
    const mark = `loose-${Math.random().toString(36).slice(2)}`
    const { id } = await room.submit(
      commandSpec([
        'bash',
        '-c',
        `echo hi > /out/x; ls /data/demo-work; (setsid bash -c 'exec -a ${mark} sleep 1000' >/dev/null 2>&1 &); sleep 0.3; echo end`,
      ]),
    )
    const job = await room.compute.ended(id)
    expect(job).toMatchObject({ state: 'done', outputs: [expect.objectContaining({ name: 'x' })] })
    expect(await logOf(room, job)).toBe('end\n')
    expect(await alive(mark)).toEqual([])
  })
})

describe('a claim', () => {
  test('is won once: a shim that comes second does nothing', async () => {
    const room = await openRoom()
    const { id } = await room.submit(shell('echo once'))
    const job = await room.compute.ended(id)
    const folder = room.compute.folderOf(id, job.attempt)
    await rename(join(folder, 'done.json'), join(folder, 'done.before'))
    const second = spawn('/usr/bin/python3', ['-I', '-S', join(import.meta.dirname, 'shim.py'), folder])
    expect(await once(second, 'exit')).toEqual([0, null])
    expect(existsSync(join(folder, 'done.json'))).toBe(false)
    expect(await logOf(room, job)).toBe('once\n')
  })
})
