/** Files belong to people: the same object by notebook, job, S3 and on the disk, and nobody else's. */
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { callJupyter, enterSession, runCell, startKernel } from './kernel.ts'
import { adminToken, callApi, eventually, logTails, startPlatform, type RunningPlatform } from './platform.ts'
import { s3Client, type S3Client } from './s3-client.ts'

const isRoot = process.getuid?.() === 0
const patienceMs = 600_000

interface Worker {
  token: string
  s3: S3Client
}

test.skipIf(!isRoot)(
  `a notebook's files and S3's objects are one, and others see none of it${isRoot ? '' : ' (SKIPPED: not run as root)'}`,
  async () => {
    const platform = await startPlatform()
    try {
      await checkFiles(platform)
    } catch (error) {
      throw new Error(logTails(platform), { cause: error })
    } finally {
      await platform.stop()
    }
  },
  patienceMs,
)

async function checkFiles(platform: RunningPlatform): Promise<void> {
  for (const name of ['gateway-1', 'gateway-2']) {
    const status = readFileSync(`/proc/${platform.pidOf(name)}/status`, 'utf8')
    for (const set of ['CapEff', 'CapPrm', 'CapBnd'])
      expect([set, new RegExp(`^${set}:\\s*(\\w+)$`, 'm').exec(status)?.[1]]).toEqual([set, '000000000000000b'])
    expect(status).toMatch(/^Uid:\s*299998\s+299998\s+299998\s+299998$/m)
  }
  const admin = await adminToken(platform)
  for (const experiment of ['one', 'two'])
    await callApi(platform, admin, 'POST', '/api/experiments', { name: experiment, title: experiment })
  const alice = await person(platform, admin, 'alice', 'one', 'member')
  const gina = await person(platform, admin, 'gina', 'one', 'guest')
  const eve = await person(platform, admin, 'eve', 'two', 'member')
  await eventually('buckets', async () =>
    (await alice.s3.send('GET', '/one-work')).status === 200 && (await eve.s3.send('GET', '/two-work')).status === 200
      ? true
      : undefined,
  )

  const work = join(platform.home, 'data', 'one-work')
  expect((await alice.s3.send('PUT', '/one-work/nb/by-s3.txt', { body: Buffer.from('from S3') })).status).toBe(200)
  const door = await openNotebook(platform, alice.token, 'one')
  const kernel = await startKernel(door)
  const cell = (code: string) => runCell(door, kernel, code)
  const shell = (script: string) =>
    cell(
      `import subprocess; print(subprocess.run(${JSON.stringify(script)}, shell=True, capture_output=True, text=True).stdout, end='')`,
    )

  // What S3 put there is hers in the notebook; what the notebook writes is there for S3, whatever the umask.
  expect(
    await shell(
      'umask 077; cd /data/one-work/nb && cat by-s3.txt && printf " and shell" >>by-s3.txt && printf made >by-shell.txt',
    ),
  ).toBe('from S3')
  expect(String((await alice.s3.send('GET', '/one-work/nb/by-s3.txt')).body)).toBe('from S3 and shell')
  expect(String((await alice.s3.send('GET', '/one-work/nb/by-shell.txt')).body)).toBe('made')
  await shell('mkdir -p ~/work && ln -sfn /data/one-work/nb ~/nb')
  const notebook = { cells: [], metadata: {}, nbformat: 4, nbformat_minor: 5 }
  const saved = await callJupyter<{ writable: boolean }>(door, 'PUT', 'api/contents/nb/analysis.ipynb', {
    type: 'notebook',
    format: 'json',
    content: notebook,
  })
  expect(saved.writable).toBe(true)
  expect(JSON.parse(String((await alice.s3.send('GET', '/one-work/nb/analysis.ipynb')).body))).toMatchObject({
    nbformat: 4,
  })
  await cell(
    "import tempfile, os; f, n = tempfile.mkstemp(dir='/data/one-work/nb'); os.write(f, b'renamed'); os.rename(n, '/data/one-work/nb/renamed')",
  )
  expect(String((await gina.s3.send('GET', '/one-work/nb/renamed')).body)).toBe('renamed')
  expect((await gina.s3.send('PUT', '/one-work/nb/renamed', { body: Buffer.from('x') })).status).toBe(403)
  expect(
    (await alice.s3.send('PUT', '/one-work/nb/analysis.ipynb', { body: Buffer.from('{"by": "s3"}') })).status,
  ).toBe(200)
  expect(
    await shell(
      'cat /data/one-work/nb/analysis.ipynb && echo " " >>/data/one-work/nb/analysis.ipynb && rm /data/one-work/nb/by-shell.txt',
    ),
  ).toBe('{"by": "s3"}')
  expect((await alice.s3.send('GET', '/one-work/nb/by-shell.txt')).status).toBe(404)

  const modes = (name: string) => {
    const { uid, gid, mode } = lstatSync(join(work, name))
    return { uid, gid, mode: (mode & 0o7777).toString(8) }
  }
  const { uid, gid } = modes('nb/by-s3.txt')
  expect(uid).toBeGreaterThanOrEqual(300_000)
  expect(gid).toBeGreaterThanOrEqual(1_000_000)
  expect(modes('nb')).toEqual({ uid, gid, mode: '2770' })
  expect(modes('nb/analysis.ipynb')).toEqual({ uid, gid, mode: '660' })

  // Another experiment's person: no bucket, no file, by no way.
  expect((await eve.s3.send('GET', '/one-work/nb/by-s3.txt')).status).toBe(403)
  const eves = await openNotebook(platform, eve.token, 'two')
  const evesKernel = await startKernel(eves)
  const seen = await runCell(
    eves,
    evesKernel,
    `import os\nprint(sorted(os.listdir('/data')))\nfor path in ['/data/one-work', ${JSON.stringify(work)}]:\n    try:\n        print(os.listdir(path))\n    except OSError as error:\n        print(type(error).__name__)`,
  )
  expect(seen.split('\n').slice(0, 3)).toEqual([
    "['two-raw', 'two-reco', 'two-work']",
    'FileNotFoundError',
    'FileNotFoundError',
  ])

  // A guest's notebook reads what its person may read, and writes nothing of it.
  const ginas = await openNotebook(platform, gina.token, 'one')
  const ginasKernel = await startKernel(ginas)
  const tried = await runCell(
    ginas,
    ginasKernel,
    "print(open('/data/one-work/nb/by-s3.txt').read())\ntry:\n    open('/data/one-work/nb/by-s3.txt', 'a')\nexcept OSError as error:\n    print(type(error).__name__)",
  )
  expect(tried.split('\n')[0]).toBe('from S3 and shell')
  expect(tried.split('\n')[1]).toMatch(/OSError|PermissionError/)
}

async function person(
  platform: RunningPlatform,
  admin: string,
  name: string,
  experiment: string,
  role: string,
): Promise<Worker> {
  const { signInLink } = await callApi<{ signInLink: { url: string } }>(
    platform,
    admin,
    'POST',
    '/api/identity/people',
    {
      name,
      displayName: name,
      roles: [],
    },
  )
  const people = await callApi<{ items: { id: string; name: string }[] }>(
    platform,
    admin,
    'GET',
    '/api/identity/people',
  )
  const { id } = people.items.find((each) => each.name === name)!
  await callApi(platform, admin, 'PATCH', `/api/identity/people/${id}/roles`, { experiment, role })
  const code = new URL(signInLink.url).hash.replace('#code=', '')
  const { accessToken } = await callApi<{ accessToken: string }>(platform, undefined, 'POST', '/api/identity/token', {
    code,
  })
  const key = await callApi<{ accessKeyId: string; secretAccessKey: string }>(
    platform,
    accessToken,
    'POST',
    '/api/identity/access-keys',
    { label: 'test' },
  )
  return { token: accessToken, s3: s3Client(() => platform.s3Url, key) }
}

async function openNotebook(platform: RunningPlatform, token: string, experiment: string) {
  const begun = await callApi<{ id: string }>(platform, token, 'POST', '/api/notebooks/sessions', { experiment })
  const path = `/api/notebooks/sessions/${begun.id}`
  const session = await eventually(
    `a session in ${experiment}`,
    async () => {
      const now = await callApi<{ state: string; url: string; reason: string | null }>(platform, token, 'GET', path)
      if (now.state === 'failed') throw new Error(now.reason ?? 'failed')
      return now.state === 'running' ? now : undefined
    },
    300_000,
  )
  const ticket = await callApi<{ url: string }>(platform, token, 'POST', `${path}/ticket`)
  return await enterSession(ticket.url, session.url)
}
