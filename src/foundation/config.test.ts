import { chmod, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { createOutput } from './command-line.ts'
import { describeConfig, editConfig, printConfig, readConfig } from './config.ts'
import { createFailpoints, parseFailpoints } from './failpoints.ts'
import { shortId, uuid7 } from './ids.ts'
import { createLogger } from './log.ts'
import { createMetrics } from './metrics.ts'
import { temporaryDirectory } from './testing.ts'
import { fakeClock, printDuration, printTime } from './time.ts'

const schema = z.object({
  port: z.number().int().default(8410).describe('Port of the platform.'),
  database: z.strictObject({ url: z.string().default(''), adminPassword: z.string().optional() }).prefault({}),
})

test('configuration is the defaults, then the file, then the command line', async () => {
  await using folder = await temporaryDirectory()
  const home = folder.path
  expect(await readConfig(schema, { home })).toEqual({ port: 8410, database: { url: '' } })
  await writeFile(join(home, 'cygnet.yaml'), 'port: 1\ndatabase:\n  url: postgres://me:hunter2@db/cygnet\n')
  const config = await readConfig(schema, { home, overrides: { port: undefined, database: { adminPassword: 'x' } } })
  expect(config).toEqual({ port: 1, database: { url: 'postgres://me:hunter2@db/cygnet', adminPassword: 'x' } })
  expect(printConfig(config)).toBe(
    'port: 1\ndatabase:\n  url: postgres://me:(hidden)@db/cygnet\n  adminPassword: (hidden)\n',
  )
})

test('no spelling of a password in an address is printed; where one is kept is', () => {
  for (const url of [
    'postgres://me:hunter2@db/x',
    'postgres://me:hun/ter2@db/x',
    'postgres://me:h@unter2@db/x',
    'postgres://:hunter2@db/x',
    'postgres://me@db/x?password=hunter2&ssl=1',
    'postgresql://me@db/x?sslpassword=hunter2',
  ]) {
    expect(printConfig({ database: { url } })).not.toMatch(/hunter2|ter2|unter2/)
  }
  expect(printConfig({ database: { passwordFile: '/etc/cygnet/password' } })).toContain('/etc/cygnet/password')
})

test('a setting is changed in its file, and nothing else is: comments, order, links, modes', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'cygnet.yaml')
  await editConfig(path, [{ path: ['database', 'url'], value: undefined }])
  expect(await readFile(path, 'utf8')).toBe('')
  await editConfig(path, [{ path: ['database', 'url'], value: 'sqlite:/x' }])
  expect(await readFile(path, 'utf8')).toBe('database:\n  url: sqlite:/x\n')
  const real = join(folder.path, 'real.yaml')
  const text = '# ours\nport: 1 # one\n\ndatabase: { url: a, adminPassword: b } # two\nlist:\n  - x\n'
  await writeFile(real, text)
  await chmod(real, 0o600)
  const link = join(folder.path, 'link.yaml')
  await symlink(real, link)
  await editConfig(link, [{ path: ['database', 'url'], value: 'postgres://me@db/x' }])
  expect(await readFile(real, 'utf8')).toBe(text.replace('url: a', 'url: postgres://me@db/x'))
  expect((await stat(real)).mode & 0o777).toBe(0o600)
  await editConfig(link, [
    { path: ['database', 'url'], value: undefined },
    { path: ['database', 'adminPassword'], value: undefined },
  ])
  expect(await readFile(real, 'utf8')).toBe('# ours\nport: 1 # one\nlist:\n  - x\n')
  for (const comment of ['# ours\n', '# ours\n# truly\n', '# ours\n\n']) {
    await writeFile(path, `${comment}database:\n  url: x\n`)
    await editConfig(path, [{ path: ['database', 'url'], value: undefined }])
    expect(await readFile(path, 'utf8')).toBe(`${comment.trimEnd()}\n`)
    await editConfig(path, [{ path: ['database', 'url'], value: 'y' }])
    expect(await readFile(path, 'utf8')).toMatch(/^# ours\n[^]*database:\n {2}url: y\n/)
  }
})

test('what is wrong in the file is named; a typo is wrong too', async () => {
  await using folder = await temporaryDirectory()
  const file = join(folder.path, 'other.yaml')
  await expect(readConfig(schema, { home: folder.path, file })).rejects.toMatchObject({
    code: 'foundation.invalid_config',
  })
  for (const [text, words] of [
    ['port: [', 'other.yaml'],
    ['port: eighty', 'port: '],
    ['prot: 80', 'prot'],
    ['database:\n  uri: x', 'database'],
    ['- a', "'name: value'"],
  ] as const) {
    await writeFile(file, text)
    await expect(readConfig(schema, { home: folder.path, file })).rejects.toThrow(words)
  }
})

test('every setting can be listed with its default and its words', () => {
  expect(describeConfig(schema)).toContainEqual({ path: 'port', default: 8410, description: 'Port of the platform.' })
  expect(describeConfig(schema).map(({ path }) => path)).toEqual(['port', 'database.url', 'database.adminPassword'])
})

test('failpoints act where and when they are told to', async () => {
  const pass = createFailpoints(parseFailpoints('a.b=error@2nd, c=delay:1'))
  await pass('a.b')
  await expect(pass('a.b')).rejects.toMatchObject({ code: 'foundation.injected' })
  await pass('a.b')
  await pass('c')
  await pass('unarmed')
  expect(() => parseFailpoints('a=explode')).toThrow('is not a failpoint')
  expect(parseFailpoints('x.y=kill@3rd')).toEqual([{ name: 'x.y', effect: 'kill', delayMs: 0, nth: 3 }])
})

test('secrets do not reach the log', () => {
  let text = ''
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  const log = createLogger({ process: 'test', destination }).child({ requestId: 'r1' })
  log.info({ password: 'hunter2', headers: { authorization: 'hunter2' }, a: { b: { token: 'hunter2' } } }, 'hello')
  log.error({ error: new Error('outer', { cause: new Error('inner') }) }, 'failed')
  expect(text).not.toContain('hunter2')
  expect(JSON.parse(text.split('\n')[0]!)).toMatchObject({
    level: 'info',
    process: 'test',
    requestId: 'r1',
    msg: 'hello',
  })
  expect(text).toContain('inner')
})

test('ids of one process sort as they were made', () => {
  const ids = Array.from({ length: 10_000 }, () => uuid7())
  expect(ids.toSorted()).toEqual(ids)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(shortId()).toMatch(/^[2-9a-z]{10}$/)
})

test('times are printed with their zone, durations in two units', () => {
  expect(printTime(fakeClock().nowMs())).toBe('2026-01-01 00:00:00 UTC')
  expect([0, 999, 1000, 62_000, 3_600_000, 90_061_000].map(printDuration)).toEqual([
    '0 ms',
    '999 ms',
    '1 s',
    '1 min 2 s',
    '1 h',
    '1 d 1 h',
  ])
})

test('metrics are counted and read in the Prometheus format', async () => {
  const metrics = createMetrics({ process: 'gateway', processMetrics: false })
  metrics.counter('cygnet_test_total', 'Tests', ['room']).inc({ room: 'a' })
  metrics.gauge('cygnet_test_jobs', 'Jobs', [], (gauge) => gauge.set(4))
  expect(await metrics.text()).toContain('cygnet_test_total{room="a",process="gateway"} 1')
  expect(await metrics.text()).toContain('cygnet_test_jobs{process="gateway"} 4')
})

test('data goes to standard output, talk to standard error', () => {
  const speak = (json: boolean) => {
    let out = ''
    let err = ''
    const output = createOutput({
      json,
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
    })
    output.progress('working')
    output.line('done')
    output.table(
      [
        { run: 'sim:1', images: 10 },
        { run: 'sim:12', images: 400 },
      ],
      ['run', { title: 'images', value: (row) => row.images }],
    )
    return { out, err }
  }
  expect(speak(false)).toEqual({ out: 'RUN     IMAGES\nsim:1       10\nsim:12     400\n', err: 'working\ndone\n' })
  expect(speak(true).out).toBe('[{"run":"sim:1","images":10},{"run":"sim:12","images":400}]\n')
})
